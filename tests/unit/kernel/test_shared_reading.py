"""Reading costs a family its time, and who has none left is read in its turn."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from clove.channels.unix import UnixChannel
from clove.framing import encode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.policy import Level
from tests.unit.kernel.connection_peer import Answers, Peer
from tests.unit.kernel.paired_transport import Reactor, Transport

LIMITS = ConnectionLimits()
READ = LIMITS.family_turn  # seconds that one read costs here
NOOP = encode(0, 0, b"")


class SlowTransport(Transport):
    """One on which every read takes a while."""

    def receive_bytes(self, size: int) -> bytes:
        data = self.socket.recv(size)
        if data:
            self.reactor.rightNow += READ  # type: ignore[attr-defined]
        return data


class Guests:
    """Connections of users that are read from by one reactor."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch
        operator = Peer(LIMITS)
        self.reactor: Any = Reactor()
        self.principals = operator.principals
        self.principals._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}
        self.principals.clock = self.principals.time._clock = self.reactor
        self.ends: list[socket.socket] = []
        self.transports: list[Transport] = []

    def __call__(self, uid: int = 4242) -> tuple[socket.socket, KernelConnection]:
        self.patch.setattr(Peer, "uid", uid)
        ours, theirs = socket.socketpair()
        theirs.settimeout(0)
        self.ends += [ours, theirs]
        transport = SlowTransport(ours, self.reactor)
        self.transports.append(transport)
        connection = KernelConnection(
            Answers(),  # type: ignore[arg-type]
            self.principals,
            LIMITS,
            UnixChannel(transport, ours),
        )
        connection.open(Peer.own)
        return theirs, connection


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guests]:
    made = Guests(monkeypatch)
    yield made
    for end in made.ends:
        end.close()


def received(each: tuple[socket.socket, KernelConnection]) -> int:
    return each[1].flow.received


def test_many_connections_of_a_family_are_not_all_read_in_one_turn(guests: Guests) -> None:
    many = [guests() for _ in range(20)]
    other = guests(4343)
    for end, _ in (*many, other):
        end.sendall(NOOP)
    guests.reactor.turn()
    assert sum(map(received, many)) == 1
    assert received(other) == 1
    turns = 1
    while sum(map(received, many)) < 20:
        before = sum(map(received, many))
        guests.reactor.turn()
        assert before < sum(map(received, many)) <= before + 3
        turns += 1
    assert [end.recv(100) for end, _ in many] == [NOOP[:4] + end_id(one) for one in many]
    guests.reactor.turn()
    assert len(guests.reactor.readers) == 21  # all are read from again


def end_id(one: tuple[socket.socket, KernelConnection]) -> bytes:
    return encode(one[1].principal.agent_id, 0, b"")[4:]


def test_what_completes_no_frame_costs_time_too(guests: Guests) -> None:
    (end, connection), later = guests(), guests()
    for one in (end, later[0]):
        one.sendall(encode(0, 2, bytes(1000))[:500])
    guests.reactor.turn()
    assert connection.decoder.pending == 500
    assert later[1].decoder.pending == 0
    guests.reactor.turn()
    assert later[1].decoder.pending == 500


def test_an_end_that_is_found_in_turn_is_acted_upon(guests: Guests) -> None:
    busy, gone = guests(), guests()
    busy[0].sendall(NOOP)
    gone[0].close()
    for _ in range(4):
        guests.reactor.turn()
    assert [each.lost for each in guests.transports] == [False, True]


def test_a_connection_that_is_lost_before_its_turn_is_not_read(guests: Guests) -> None:
    busy, gone = guests(), guests()
    for end, _ in (busy, gone):
        end.sendall(NOOP)
    guests.reactor.turn()
    gone[1].lost()
    assert not guests.reactor.getDelayedCalls()
    assert received(gone) == 0
