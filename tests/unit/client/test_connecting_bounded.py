"""What connects ends in time, also for a call that may last for ever; what is closed leaves no thread behind."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.channels.session import FrameKind, parse
from clove.client import relay_connection
from clove.client.relay_connection import RelayAddress
from clove.client.relay_link import open_link
from clove.errors import TimedOut
from tests.contracts.clients import Kind, case
from tests.unit.client.hostile_relay import AUTH_OK, Client, hostile_relay, text

WINDOW = 256 << 10


@case
async def test_a_kernel_that_does_not_greet_is_not_waited_for_by_a_call_without_end(
    kind: Kind, peer: Any
) -> None:
    peer.version = None
    client = kind.client(peer.path, timeout=0.05)
    with pytest.raises(TimedOut):
        await kind.ask(client, "wait", 1)
    with pytest.raises(TimedOut):
        await kind.stream(client, "follow_logs", 1)
    await kind.ask(client, "close")


def test_nor_by_what_waits_for_an_event_without_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "k"))
        silent.listen()
        with pytest.raises(TimedOut):
            CloveClient(str(tmp_path / "k"), timeout=0.05).next_event()


def test_a_relay_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_connection, "OPEN_SECONDS", 0.05)
    with hostile_relay(Client.wait) as url:
        address = RelayAddress.of(url, "one", "token", "", None, plain=False)
        with pytest.raises(TimedOut):
            open_link(address, None)


def test_a_client_that_is_closed_ends_its_link_though_the_kernel_reads_nothing() -> None:
    closed: list[bytes] = []

    def serve(client: Client) -> None:
        client.open()
        client.send(text(AUTH_OK))
        for message in client.messages():
            _, kind, body = parse(message)
            if kind == FrameKind.CLOSE:
                closed.append(body)
                return

    with hostile_relay(serve) as url:
        address = RelayAddress.of(url, "one", "token", "", None, plain=False)
        end, link = open_link(address, None)
        with end:
            end.sendall(bytes(WINDOW))
            end.send(b"what has no room any more")
        link.join(30)
        assert not link.is_alive()
    assert closed == [b"{}"]
