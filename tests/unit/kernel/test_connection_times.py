"""Time-outs of a connection: frames that trickle in, silence, turns."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.task import Clock

from clove.framing import encode
from clove.kernel.connection.limits import ConnectionLimits
from clove.policy import Level
from tests.unit.kernel.connection_peer import Peer

LONG = 0.0002  # seconds


def test_a_frame_that_trickles_in_is_given_up() -> None:
    peer = Peer(ConnectionLimits(frame_timeout=10))
    whole = encode(0, 2, b"x" * 50)
    for second, byte in enumerate(whole[:40]):
        if peer.channel.closing:
            break
        peer.connection.data_received(bytes([byte]))
        peer.connection.check(second)
    assert peer.channel.closing
    assert "in time" in json.loads(peer.hears()[0][1])["error"]


def test_the_time_for_a_frame_begins_with_its_first_byte() -> None:
    peer = Peer(ConnectionLimits(frame_timeout=10))
    frame = encode(0, 2, b"x")
    peer.connection.check(0)
    peer.connection.check(100)
    peer.connection.data_received(frame[:5])
    peer.connection.check(101)
    peer.connection.check(110)
    peer.connection.data_received(frame[5:])
    assert peer.hears() == [(2, b"x")]


def test_an_idle_connection_lives_unless_configured_otherwise() -> None:
    peer = Peer()
    peer.connection.check(0)
    peer.connection.check(10**6)
    assert not peer.channel.closing
    short = Peer(ConnectionLimits(idle_timeout=5))
    short.connection.check(0)
    short.connection.check(6)
    assert short.channel.closing


def next_turn(clock: Clock) -> None:
    """What a reactor does in one turn: calls made meanwhile wait for the next."""
    due = [call for call in clock.calls if call.getTime() <= clock.seconds()]
    clock.calls = [call for call in clock.calls if call not in due]
    for call in due:
        call.func()


def test_others_have_their_turn_between_requests_that_each_take_a_while() -> None:
    peer = Peer()
    answer = peer.answers.answer

    def slowly(*arguments: Any) -> Any:
        peer.clock.rightNow += 0.004
        return answer(*arguments)

    peer.answers.answer = slowly  # type: ignore[method-assign,assignment]
    peer.connection.data_received(b"".join(encode(0, 2, b"%d" % n) for n in range(5)))
    assert [payload for _, payload in peer.hears()] == [b"0", b"1"]
    peer.say(2, b"5")
    assert peer.hears() == []
    next_turn(peer.clock)
    assert [payload for _, payload in peer.hears()] == [b"2", b"3"]
    next_turn(peer.clock)
    assert [payload for _, payload in peer.hears()] == [b"4", b"5"]
    assert not peer.clock.getDelayedCalls()


def test_a_connection_that_is_lost_between_two_turns_serves_no_more() -> None:
    peer = Peer()

    def slowly(*arguments: Any) -> Any:
        peer.clock.rightNow += 1
        return b""

    peer.answers.answer = slowly  # type: ignore[method-assign,assignment]
    peer.connection.data_received(encode(0, 2, b"") * 3)
    peer.lose()
    assert not peer.clock.getDelayedCalls()


def test_what_is_in_work_on_a_lost_connection_is_cancelled_as_its_family_has_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator = Peer()
    operator.principals._grants = {4242: Level.STANDARD}
    monkeypatch.setattr(Peer, "uid", 4242)
    peer = Peer(principals=operator.principals)
    peer.hello()
    for number in range(1, 41):
        peer.say(3, b"", number)
    for waiting in peer.answers.waiting:
        waiting.addBoth(
            lambda _: setattr(operator.clock, "rightNow", operator.clock.rightNow + LONG)
        )
    peer.lose()
    assert peer.answers.cancelled < 10
    turns = 0
    while peer.answers.cancelled < 40:
        before = peer.answers.cancelled
        next_turn(operator.clock)
        assert before < peer.answers.cancelled < before + 10
        turns += 1
    assert turns > 4


def test_a_stranger_that_does_not_close_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "uid", 4242)
    limits = ConnectionLimits(frame_timeout=10)
    stays, goes = Peer(limits), Peer(limits)
    for peer in (stays, goes):
        assert json.loads(peer.hears()[0][1])["code"] == "permission_denied"
        assert peer.channel.closing
    goes.lose()
    assert not goes.clock.getDelayedCalls()
    stays.clock.advance(9)
    assert not stays.channel.aborted
    stays.connection.data_received(encode(0, 2, bytes(9000))[:8000])
    stays.clock.advance(2)
    assert stays.channel.aborted
    assert stays.principals.buffers.used == 0
