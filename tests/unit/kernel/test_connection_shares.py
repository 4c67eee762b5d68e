"""What waits on a family's connections, whichever they are: bytes of requests and of replies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clove.framing import encode
from clove.kernel.connection_limits import ConnectionLimits
from clove.policy import Level
from tests.unit.kernel.connection_peer import Peer

LIMITS = ConnectionLimits(all_buffers=80_000)  # of which a family has 17,500


class Guests:
    """Connections of users, who are families."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.operator = Peer(LIMITS)
        self.sessions = self.operator.sessions
        self.sessions._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}

    def __call__(self, uid: int = 4242, *, version: int = 1) -> Peer:
        self.patch.setattr(Peer, "uid", uid)
        peer = Peer(LIMITS, self.sessions)
        if version == 2:
            peer.hello()
        return peer


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    return Guests(monkeypatch)


def part(peer: Peer, size: int) -> None:
    """Say so much of a frame that is larger."""
    peer.connection.dataReceived(encode(0, 2, b"x" * (size + 1000))[:size])


def refused(peer: Peer) -> bool:
    """It was told that the family has too much, and was closed."""
    told = [json.loads(payload) for _, payload in peer.hears()]
    assert [each["code"] for each in told] in ([], ["limit_exceeded"])
    assert bool(told) == peer.transport.disconnecting
    return bool(told)


def test_frames_that_never_end_are_bounded_for_a_family(guests: Guests) -> None:
    peers = [guests() for _ in range(3)]
    for peer in peers:
        part(peer, 6000)
    assert [refused(peer) for peer in peers] == [False, False, True]
    other = guests(4343)
    part(other, 6000)
    part(guests.operator, 40_000)
    assert not refused(other)
    assert not refused(guests.operator)
    peers[2].lose()
    part(guests(), 4500)
    assert not refused(peers[0])
    for peer in (*peers[:2], other, guests.operator):
        peer.lose()
    assert guests.sessions.buffers.used == 4500


def test_a_frame_that_is_whole_counts_no_more(guests: Guests) -> None:
    peer = guests()
    frame = encode(0, 2, b"x" * 9000)
    for _ in range(10):
        peer.connection.dataReceived(frame[:8000])
        assert guests.sessions.buffers.used == 8000
        peer.connection.dataReceived(frame[8000:])
        assert guests.sessions.buffers.used == 0
    assert len(peer.hears()) == 10


def test_requests_in_work_are_bounded_for_a_family(guests: Guests) -> None:
    first, second, other = guests(version=2), guests(version=2), guests(4343, version=2)
    first.say(3, b"x" * 9000, tag=1)
    second.say(3, b"x" * 9000, tag=1)
    [(_, refusal)] = second.hears()
    assert "your family of agents has" in json.loads(refusal[8:])["error"]
    second.say(3, b"x" * 1000, tag=2)  # small ones go on
    other.say(3, b"x" * 9000, tag=1)
    assert second.hears() == other.hears() == []
    first.answers.waiting[0].callback(b"")
    second.say(3, b"x" * 9000, tag=3)
    assert second.hears() == []


def test_requests_that_wait_in_order_are_bounded_for_a_family(guests: Guests) -> None:
    first, second = guests(), guests()
    first.say(3, b"x" * 9000)
    first.say(2, b"x" * 6000)
    assert guests.sessions.buffers.used == 15_000 + 128
    second.say(3, b"x" * 5000)
    assert refused(second)
    assert second.answers.cancelled == 0
    first.answers.waiting[0].callback(b"done")
    assert len(first.hears()) == 2
    second.lose()
    assert second.answers.cancelled == 1
    assert guests.sessions.buffers.used == 0


class Full:
    """A transport that wants nothing: what is written waits."""

    def __init__(self, peer: Peer) -> None:
        connection: Any = peer.connection
        self._outgoing = connection._outgoing
        self._outgoing.pauseProducing()

    def read_all(self) -> None:
        self._outgoing.resumeProducing()


def test_replies_that_nobody_reads_are_bounded_for_a_family(guests: Guests) -> None:
    peers = [guests() for _ in range(3)]
    other = guests(4343)
    full = [Full(peer) for peer in (*peers, other)]
    for peer in (*peers, other):
        peer.say(2, b"x" * 7000)
    assert [peer.transport.aborted for peer in peers] == [False, False, True]
    assert not other.transport.aborted
    peers[2].lose()
    full[0].read_all()
    peers[0].connection.check(1.0)
    last = guests()
    Full(last)
    last.say(2, b"x" * 7000)
    assert not last.transport.aborted


def test_a_small_reply_goes_to_whoever_reads_it_however_full_the_family_is(guests: Guests) -> None:
    part(guests(), 17_000)
    peer = guests()
    Full(peer)
    peer.say(2, b"x" * 2000)
    assert not peer.transport.aborted


def test_small_requests_that_wait_for_long_are_bounded_for_a_family(guests: Guests) -> None:
    first, second, other = guests(version=2), guests(version=2), guests(4343, version=2)
    for peer in (first, second, other):
        for number in range(1, 13):
            peer.say(3, b"x", tag=number)
    refused = [json.loads(payload[8:])["code"] for _, payload in first.hears()]
    assert refused == ["limit_exceeded"] * 3  # of what is more than a few
    assert len(second.hears()) == 4
    assert len(other.hears()) == 3
    for waiting in (*first.answers.waiting, *second.answers.waiting):
        waiting.callback(b"")
    first.say(3, b"x", tag=99)
    assert first.connection._running
    for peer in (first, second, other):
        peer.lose()
    assert guests.sessions.buffers.used == 0
