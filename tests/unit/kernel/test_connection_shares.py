"""What waits on a family's connections, whichever they are: bytes of requests and of replies."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from clove.framing import encode
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.principal import Principal
from clove.policy import Level
from tests.unit.kernel.connection_peer import Peer

LIMITS = ConnectionLimits(all_buffers=80_000)  # of which a family has 17,500


class Guests:
    """Connections of users, who are families."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.operator = Peer(LIMITS)
        self.principals = self.operator.principals
        self.principals._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}

    def __call__(self, uid: int = 4242, *, version: int = 1) -> Peer:
        self.patch.setattr(Peer, "uid", uid)
        peer = Peer(LIMITS, self.principals)
        if version == 2:
            peer.hello()
        return peer


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    return Guests(monkeypatch)


def part(peer: Peer, size: int) -> None:
    """Say so much of a frame that is larger."""
    peer.connection.data_received(encode(0, 2, b"x" * (size + 1000))[:size])


def refused(peer: Peer) -> bool:
    """It was told that the family has too much, and was closed."""
    told = [json.loads(payload) for _, payload in peer.hears()]
    assert [each["code"] for each in told] in ([], ["limit_exceeded"])
    assert bool(told) == peer.channel.closing
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
    assert guests.principals.buffers.used == 4500


def test_a_frame_that_is_whole_counts_no_more(guests: Guests) -> None:
    peer = guests()
    frame = encode(0, 2, b"x" * 9000)
    for _ in range(10):
        peer.connection.data_received(frame[:8000])
        assert guests.principals.buffers.used == 8000
        peer.connection.data_received(frame[8000:])
        assert guests.principals.buffers.used == 0
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
    assert guests.principals.buffers.used == 15_000 + 128
    second.say(3, b"x" * 5000)
    assert refused(second)
    assert second.answers.cancelled == 0
    first.answers.waiting[0].callback(b"done")
    assert len(first.hears()) == 2
    second.lose()
    assert second.answers.cancelled == 1
    assert guests.principals.buffers.used == 0


def test_unread_replies_are_bounded_for_a_family(guests: Guests) -> None:
    peers = [guests() for _ in range(3)]
    other = guests(4343)
    for peer in (*peers, other):
        peer.channel.stop_reading()
        peer.say(2, b"x" * 7000)
    assert [peer.channel.aborted for peer in peers] == [False, False, True]
    assert not other.channel.aborted
    peers[2].lose()
    peers[0].channel.go_on_reading()
    peers[0].connection.check(1.0)
    last = guests()
    last.channel.stop_reading()
    last.say(2, b"x" * 7000)
    assert not last.channel.aborted


def test_a_small_reply_goes_to_a_reader_however_full_the_family_is(guests: Guests) -> None:
    part(guests(), 17_000)
    peer = guests()
    peer.channel.stop_reading()
    peer.say(2, b"x" * 2000)
    assert not peer.channel.aborted


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
    assert first.connection.framing.outstanding
    for peer in (first, second, other):
        peer.lose()
    assert guests.principals.buffers.used == 0


def test_what_waits_behind_a_request_is_not_served_within_the_one_that_answers_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """400 of them in each other were more than the stack of Python takes."""
    first = Peer()
    others = [Peer(principals=first.principals) for _ in range(400)]

    def answer_next(peer: Peer, following: Peer) -> None:
        usual = peer.answers.answer

        def answer(principal: Principal, opcode: int, payload: bytes) -> Any:
            if opcode == 2:
                following.answers.waiting[0].callback(b"a")
            return usual(principal, opcode, payload)

        monkeypatch.setattr(peer.answers, "answer", answer)

    for peer, following in itertools.pairwise([first, *others]):
        answer_next(peer, following)
    for peer in others:
        peer.connection.data_received(encode(0, 3, b"") + encode(0, 2, b"b"))
    first.say(2, b"done")
    assert first.hears() == [(2, b"done")]
    assert others[0].hears() == [(3, b"a")]  # at once, but what waits behind it in its turn
    while first.clock.getDelayedCalls():
        first.clock.advance(0)
    assert others[0].hears() == [(2, b"b")]
    for peer in others[1:]:
        assert peer.hears() == [(3, b"a"), (2, b"b")]
