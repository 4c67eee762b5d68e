"""Whatever a relay says, a remote client gets an error of ours in time, and nothing of it stays."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove.channels.session import WINDOW, FrameKind
from clove.client.relay_connection import RelayAddress, RelayConnection
from clove.client.remote import RemoteClient
from clove.errors import CloveError
from clove.framing import encode
from tests.unit.client.hostile_relay import AUTH_OK, Client, binary, hostile_relay, message, text
from tests.waiting import until

TOKEN = "clove_agent_canary"


@pytest.fixture(autouse=True)
def threads() -> Iterator[list[Any]]:
    """No thread of a link is left, and none has failed."""
    failed: list[Any] = []
    earlier, threading.excepthook = threading.excepthook, failed.append
    try:
        yield failed
        until(
            lambda: all(each.name != "clove-relay-link" for each in threading.enumerate()),
            "the link's thread ends",
        )
    finally:
        threading.excepthook = earlier
    assert failed == []


def ask(url: str) -> CloveError:
    """The error that a call gets."""
    client = RemoteClient(url, "one", token=TOKEN, timeout=2.0)
    with contextlib.closing(client), pytest.raises(CloveError) as caught:
        client.noop()
    assert TOKEN not in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.hint.isprintable()
    return caught.value


HEADS = {
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
    "an upgrade without proof": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "an endless head": b"HTTP/1.1 101 Switching Protocols\r\n" + b"x: y\r\n" * 10_000,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "nothing": b"",
    "terminal control": b"HTTP/1.1 \x1b]0;x\x07\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_what_is_no_relay_is_told_nothing(name: str) -> None:
    heads: list[bytes] = []
    more: list[bytes] = []

    def serve(client: Client) -> None:
        heads.append(client.head)
        client.send(HEADS[name])
        client.stream.shutdown(socket.SHUT_WR)
        more.append(client.stream.recv(1 << 16))

    with hostile_relay(serve) as url:
        ask(url)
    assert heads
    assert all(head.endswith(b"\r\n\r\n") for head in heads)
    assert not any(more)


ANSWERS: dict[str, bytes] = {
    "no JSON": message(1, b"{"),
    "deep JSON": message(1, b"[" * 100_000),
    "a list": text([1]),
    "a number": text(1),
    "no UTF-8": message(1, b"\xff"),
    "nothing": text({}),
    "a challenge": text({"type": "challenge", "nonce": "", "relay_id": ""}),
    "version 1": text({**AUTH_OK, "protocol_version": 1}),
    "no version": text({"type": "auth_ok", "agent_id": 1000}),
    "version 3": text({**AUTH_OK, "protocol_version": 3}),
    "a count that is none": text({**AUTH_OK, "received": "x"}),
    "a count that is a list": text({**AUTH_OK, "received": []}),
    "a negative count": text({**AUTH_OK, "received": -1}),
    "more than was sent": text({**AUTH_OK, "received": 10**30}),
    "no seconds": text({**AUTH_OK, "resume_seconds": "x"}),
    "negative seconds": text({**AUTH_OK, "resume_seconds": -1}),
    "not a number of seconds": text({**AUTH_OK, "resume_seconds": float("nan")}),
    "endless seconds": text({**AUTH_OK, "resume_seconds": float("inf")}),
    "a session that is none": text({**AUTH_OK, "session": {}}),
    "a long session": text({**AUTH_OK, "session": "x" * 1000}),
    "a refusal": text({"type": "auth_error", "error": "no \x1b[31m\n", "hint": ["\x07"]}),
    "an error that is none": text({"type": "auth_error", "error": {"a": 1}, "code": []}),
    "frames before the answer": binary(1, FrameKind.DATA, b"x"),
    "a huge frame": struct.pack(">BBQ", 0x82, 127, 2**62),
    "a masked frame": b"\x81\x80\0\0\0\0",
    "a long ping": message(9, bytes(200)),
    "a ping in pieces": b"\x09\x00",
    "endless pieces": b"\x01\x7e\xff\xff"
    + bytes(0xFFFF)
    + (b"\x00\x7e\xff\xff" + bytes(0xFFFF)) * 5,
    "a close": message(8, b"\x03\xe8no \x1b[31m"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_none_is_an_error_in_words(name: str) -> None:
    def serve(client: Client) -> None:
        client.open()
        client.send(ANSWERS[name])
        client.wait()

    with hostile_relay(serve) as url:
        ask(url)


FRAMES: dict[str, bytes] = {
    "a text": text({"type": "ping"}),
    "no frame": message(2, b"\0"),
    "an unknown kind": binary(1, 9),
    "a channel that is opened": binary(1, FrameKind.OPEN, b"{}"),
    "another channel": binary(2, FrameKind.DATA, b"x"),
    "a short window": binary(1, FrameKind.WINDOW, b"\0"),
    "too wide a window": binary(1, FrameKind.WINDOW, b"\xff" * 4) * 3,
    "a short ACK": binary(0, FrameKind.ACK, b"\0"),
    "an ACK of what was not sent": binary(0, FrameKind.ACK, b"\xff" * 8),
    "a close without JSON": binary(1, FrameKind.CLOSE, b"[" * 100_000),
    "more than the window": binary(1, FrameKind.DATA, bytes(60_000)) * (WINDOW // 60_000 + 2),
    "a reply to nothing": binary(1, FrameKind.DATA, encode(0, 1, b"{}") * 3),
    "no frame of the kernel's": binary(1, FrameKind.DATA, b"\xff" * 100),
    "a huge reply": binary(1, FrameKind.DATA, encode(0, 0, b"")[:-8] + b"\xff" * 8),
    "silence": b"",
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_break_the_rules_end_the_call(name: str) -> None:
    def serve(client: Client) -> None:
        client.open()
        client.send(text(AUTH_OK) + FRAMES[name])
        client.wait()

    with hostile_relay(serve) as url:
        ask(url)


def test_a_relay_that_cuts_each_connection_at_once_is_not_dialled_in_a_loop() -> None:
    """It resumes the session each time, so that there is always a next time."""
    seen: list[int] = []

    def serve(client: Client) -> None:
        client.open()
        seen.append(client.number)
        client.send(text({**AUTH_OK, "resumed": client.number > 0, "resume_seconds": 60}))

    with hostile_relay(serve) as url:
        ask(url)
    assert 1 < len(seen) < 20


def test_a_session_that_was_resumed_by_somebody_else_is_none() -> None:
    def serve(client: Client) -> None:
        client.open()
        client.send(text({**AUTH_OK, "resumed": False}))

    with hostile_relay(serve) as url:
        ask(url)


@contextlib.contextmanager
def connection(feed: Callable[[socket.socket], Any]) -> Iterator[RelayConnection]:
    """One that was let in, and to which a thread sends."""
    ours, theirs = socket.socketpair()
    address = RelayAddress("127.0.0.1", 1, False, "one", "n", TOKEN)
    found = RelayConnection(ours, address)
    found._decoder.is_open = True
    found._answer, found._welcomed = b"{}", True
    thread = threading.Thread(target=feed, args=(theirs,))
    thread.start()
    try:
        yield found
    finally:
        ours.close()
        theirs.close()
        thread.join()


def receive_all(connection: RelayConnection) -> None:
    while True:
        connection.receive()


def test_pings_without_end_of_a_relay_that_does_not_read_take_no_memory() -> None:
    many = message(9, bytes(125)) * 1000

    def feed(stream: socket.socket) -> None:
        for _ in range(100):
            stream.sendall(many)
        stream.shutdown(socket.SHUT_WR)

    with connection(feed) as found:
        with pytest.raises(CloveError, match="closed"):
            receive_all(found)
        assert found.unsent < 2 << 20
