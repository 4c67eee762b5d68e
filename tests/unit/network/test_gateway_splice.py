"""Splices by themselves: what a quiet one and a broken inspection come to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from clove.kernel.network.gateway.splice import Splice

IDLE = 60.0


class Strict:
    """Lets nothing pass."""

    transparent = False
    waiting = False

    def feed(self, data: bytes) -> bytes:
        raise ValueError(data.decode())

    def answered(self, data: bytes) -> bytes:
        return b""

    def ended(self) -> bytes:
        raise ValueError("cut off")


class Late(Strict):
    """Lets pass what it held when the client has sent all."""

    def feed(self, data: bytes) -> bytes:
        return b""

    def ended(self) -> bytes:
        self.transparent = True
        return b"all of it"


class Joined:
    """A splice, the far ends of its sockets, and what it told."""

    def __init__(self, inspection: Strict | None = None) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.client, client = socket.socketpair()
        self.server, server = socket.socketpair()
        self.told: list[str] = []
        for end in (client, server):
            end.setblocking(False)
        self.splice = Splice(
            self.reactor,
            client,
            server,
            inspection,
            IDLE,
            lambda error: self.told.append(f"refused {error}"),
            lambda: self.told.append("ended"),
        )

    def turn(self) -> None:
        """What the reactor would do for those that are ready."""
        for end in list(self.reactor.getReaders()):
            end.doRead()
        for end in list(self.reactor.getWriters()):
            end.doWrite()

    def close(self) -> None:
        self.splice.abort()
        self.client.close()
        self.server.close()


@pytest.fixture
def joined() -> Iterator[Joined]:
    made = Joined()
    yield made
    made.close()


def test_bytes_pass_and_are_counted(joined: Joined) -> None:
    joined.client.sendall(b"question")
    joined.server.sendall(b"answer")
    joined.turn()
    assert joined.server.recv(100) == b"question"
    assert joined.client.recv(100) == b"answer"
    assert (joined.splice.sent, joined.splice.received) == (8, 6)


def test_it_ends_when_both_sides_have(joined: Joined) -> None:
    joined.client.shutdown(socket.SHUT_WR)
    joined.turn()
    assert joined.server.recv(100) == b""
    assert joined.told == []
    joined.server.sendall(b"last words")
    joined.server.shutdown(socket.SHUT_WR)
    joined.turn()
    joined.turn()
    assert joined.client.recv(100) == b"last words"
    assert joined.client.recv(100) == b""
    assert joined.told == ["ended"]
    assert joined.reactor.getDelayedCalls() == []


def test_a_side_that_does_not_read_holds_the_other(joined: Joined) -> None:
    joined.client.setblocking(False)
    sent = 0
    for _ in range(1000):
        try:
            sent += joined.client.send(bytes(1 << 16))
        except BlockingIOError:
            before = sent
            joined.turn()
            if sent == before and len(joined.reactor.getReaders()) == 1:
                break
    assert len(joined.reactor.getReaders()) == 1  # the server's alone
    joined.server.setblocking(False)
    received = 0
    for _ in range(10000):
        try:
            received += len(joined.server.recv(1 << 16))
        except BlockingIOError:
            joined.turn()
        if received == sent:
            break
    assert received == sent


def test_a_quiet_one_is_ended(joined: Joined) -> None:
    joined.reactor.advance(IDLE - 1)
    joined.client.sendall(b"x")
    joined.turn()
    joined.reactor.advance(IDLE - 1)
    assert joined.told == []
    joined.reactor.advance(1)
    assert joined.told == ["ended"]
    assert joined.reactor.getReaders() == []


def test_what_is_refused_ends_both_and_passes_nothing() -> None:
    joined = Joined(Strict())
    joined.client.sendall(b"bad")
    joined.turn()
    assert joined.told == ["refused bad", "ended"]
    assert joined.server.recv(100) == b""
    joined.close()


def test_what_was_held_back_goes_out_before_the_end_of_what_the_client_sends() -> None:
    joined = Joined(Late())
    joined.client.sendall(b"all of")
    joined.turn()
    joined.client.shutdown(socket.SHUT_WR)
    joined.turn()
    assert joined.server.recv(100) == b"all of it"
    assert joined.server.recv(100) == b""
    joined.server.sendall(b"answer")
    joined.turn()
    assert joined.client.recv(100) == b"answer"
    joined.close()


def test_what_is_cut_off_can_be_refused_at_its_end() -> None:
    joined = Joined(Strict())
    joined.client.shutdown(socket.SHUT_WR)
    joined.turn()
    assert joined.told == ["refused cut off", "ended"]
    joined.close()


def test_it_is_idle_when_the_server_has_answered(joined: Joined) -> None:
    def idle() -> float:
        now: float = joined.reactor.seconds()
        return joined.splice.idle_since(now)

    joined.reactor.advance(3)
    assert idle() == 3  # nothing was ever asked
    joined.client.send(b"question")
    joined.turn()
    joined.reactor.advance(5)
    assert idle() == 0
    joined.server.send(b"answer")
    joined.turn()
    joined.reactor.advance(2)
    assert idle() == 2
