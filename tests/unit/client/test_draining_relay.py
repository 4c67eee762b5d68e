"""A client leaves a relay that is about to stop as soon as it waits for nothing there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from clove.channels.session import FrameKind, parse
from clove.client.remote import RemoteClient
from clove.framing import FrameDecoder, encode
from tests.unit.client.hostile_relay import AUTH_OK, Client, binary, hostile_relay, text
from tests.waiting import until

DRAIN = binary(0, FrameKind.CONTROL, b'{"type":"drain","seconds":5}')


class Draining:
    """A relay and a kernel behind it, which answers every request with success.

    @ivar left: numbers of the connections whose channel the client has closed.
    @ivar hold: the next request but HELLO is answered only after L{release}.
    """

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.left: list[int] = []
        self.asked: list[tuple[int, int]] = []
        self.hold = False
        self.release = threading.Event()

    def serve(self, client: Client) -> None:
        client.open()
        self.clients.append(client)
        client.send(text(AUTH_OK))
        decoder = FrameDecoder()
        with contextlib.suppress(OSError):
            for message in client.messages():
                if len(message) < 5:  # a close of the WebSocket
                    continue
                _, kind, body = parse(message)
                if kind == FrameKind.DATA:
                    for frame in decoder.feed(body):
                        self._answer(client, frame.opcode, frame.payload)
                elif kind == FrameKind.CLOSE:
                    self.left.append(client.number)
                    client.send(binary(1, FrameKind.CLOSE, b"{}"))

    def _answer(self, client: Client, opcode: int, payload: bytes) -> None:
        if self.hold and opcode == 0:
            client.send(DRAIN)
            self.asked.append((client.number, opcode))
            assert self.release.wait(30)
        else:
            self.asked.append((client.number, opcode))
        reply = encode(0, opcode, payload[:8] + b'{"success": true, "resume": "r"}')
        client.send(binary(1, FrameKind.DATA, reply))


@pytest.fixture
def relay() -> Draining:
    return Draining()


@pytest.fixture
def client(relay: Draining) -> Iterator[RemoteClient]:
    with (
        hostile_relay(relay.serve) as url,
        RemoteClient(url, "one", token="clove_agent_x", timeout=20.0) as found,
    ):
        yield found
    until(
        lambda: all(each.name != "clove-relay-link" for each in threading.enumerate()),
        "the link's thread ends",
    )


def test_one_that_waits_for_nothing_leaves_at_once_and_its_next_call_connects_anew(
    relay: Draining, client: RemoteClient
) -> None:
    client.noop()
    relay.clients[0].send(DRAIN)
    until(lambda: relay.left == [0], "it has left")
    client.noop()
    assert [number for number, opcode in relay.asked if opcode == 0] == [0, 1]


def test_one_that_waits_for_an_answer_leaves_when_it_has_it(
    relay: Draining, client: RemoteClient
) -> None:
    relay.hold = True
    call = threading.Thread(target=client.noop)
    call.start()
    until(lambda: any(opcode == 0 for _, opcode in relay.asked), "it is asked")
    assert relay.left == []
    relay.hold = False
    relay.release.set()
    call.join()
    until(lambda: relay.left == [0], "it has left")
    client.noop()
    assert [number for number, opcode in relay.asked if opcode == 0] == [0, 1]
