"""The order of replies, tags, streaming, cancelling, and time-outs of a connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from clove.framing import HEADER, MAGIC, MORE, TAG, FrameDecoder, Opcode, encode
from clove.kernel.connection import KernelConnection
from clove.kernel.connection_limits import ConnectionLimits
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.kernel.sessions import RESUME_SECONDS, Sessions
from clove.kernel.sessions import Peer as Ucred
from clove.messages import Reply
from clove.policy import Level


class Answers:
    """A dispatcher: even opcodes answer at once, odd ones when told."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[bytes]] = []
        self.streams: list[Any] = []
        self.cancelled = 0

    def answer(
        self,
        principal: Principal,
        opcode: int,
        payload: bytes,
        stream: Any = None,
        push: Any = None,
    ) -> bytes | Deferred[bytes]:
        if opcode % 2 == 0:
            return payload
        self.streams.append(stream)

        def cancel(deferred: Deferred[bytes]) -> None:
            self.cancelled += 1
            deferred.callback(b'{"code":"cancelled"}')

        waiting: Deferred[bytes] = Deferred(cancel)
        self.waiting.append(waiting)
        return waiting


class Transport(StringTransport):
    """Knows when it was cut off."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


make_transport: Any = Transport


class Factory:
    principal: Principal | None = None


class Peer:
    """One connection and what it said."""

    def __init__(
        self, limits: ConnectionLimits | None = None, sessions: Sessions | None = None
    ) -> None:
        self.clock = Clock()
        limits = limits or ConnectionLimits()
        self.closed: list[int] = []
        self.sessions = sessions or Sessions(
            self.clock,
            Registry(),
            limits,
            host=None,  # type: ignore[arg-type]
            grants={},
            agent_of=lambda pid: None,
            opened=lambda principal: None,
            closed=lambda principal: self.closed.append(principal.agent_id),
        )
        self.answers = Answers()
        self.connection = KernelConnection(self.answers, self.sessions, limits)  # type: ignore[arg-type]
        self.connection.factory = Factory()
        self.transport: Any = make_transport()
        connect: Any = self.connection.makeConnection
        connect(self.transport)
        self.decoder = FrameDecoder(1 << 30)

    def say(self, opcode: int, payload: bytes = b"", tag: int | None = None) -> None:
        if tag is not None:
            payload = TAG.pack(tag) + payload
        self.connection.dataReceived(encode(0, opcode, payload))

    def hears(self) -> list[tuple[int, bytes]]:
        data = self.transport.value()
        self.transport.clear()
        return [(frame.opcode, frame.payload) for frame in self.decoder.feed(data)]

    def hello(self, **fields: Any) -> dict[str, Any]:
        self.say(Opcode.HELLO, json.dumps({"protocol_version": 2, **fields}).encode())
        [(_, payload)] = self.hears()
        return dict(json.loads(payload))

    def lose(self) -> None:
        from twisted.internet.protocol import connectionDone

        self.connection.connectionLost(connectionDone)


def test_replies_carry_the_connections_own_id() -> None:
    peer = Peer()
    peer.connection.dataReceived(encode(999, 0, b"x"))
    [frame] = peer.decoder.feed(peer.transport.value())
    assert frame.agent_id == peer.connection.principal.agent_id


def test_version_1_answers_in_order_even_when_an_early_request_takes_long() -> None:
    peer = Peer()
    peer.connection.dataReceived(encode(0, 3, b"slow") + encode(0, 2, b"b") + encode(0, 4, b"c"))
    assert peer.hears() == []
    peer.answers.waiting[0].callback(b"a")
    assert peer.hears() == [(3, b"a"), (2, b"b"), (4, b"c")]


def test_version_1_stops_reading_when_too_much_waits() -> None:
    peer = Peer(ConnectionLimits(max_waiting=4))
    peer.say(3)
    for _ in range(4):
        peer.say(2)
    assert peer.transport.producerState == "paused"
    peer.answers.waiting[0].callback(b"")
    assert peer.transport.producerState == "producing"
    assert len(peer.hears()) == 5


def test_version_2_answers_in_any_order() -> None:
    peer = Peer()
    assert peer.hello()["protocol_version"] == 2
    peer.say(3, b"", tag=7)
    peer.say(2, b"quick", tag=8)
    assert peer.hears() == [(2, TAG.pack(8) + b"quick")]
    peer.answers.waiting[0].callback(b"late")
    assert peer.hears() == [(3, TAG.pack(7) + b"late")]


def test_hello_without_version_2_changes_nothing() -> None:
    peer = Peer()
    peer.say(Opcode.HELLO, b"{}")
    assert json.loads(peer.hears()[0][1])["protocol_version"] == 1
    peer.say(2, b"plain")
    assert peer.hears() == [(2, b"plain")]


def test_a_version_that_we_do_not_know_yet_gets_ours() -> None:
    assert Peer().hello(protocol_version=9)["protocol_version"] == 2


def test_partial_replies_bear_the_more_bit() -> None:
    peer = Peer()
    peer.hello()
    peer.say(3, b"", tag=5)
    peer.answers.streams[0](Reply())
    peer.answers.waiting[0].callback(b"end")
    assert peer.hears() == [
        (3, TAG.pack(5 | MORE) + b'{"success":true}'),
        (3, TAG.pack(5) + b"end"),
    ]


def test_pushes_bear_tag_zero_and_need_version_2() -> None:
    peer = Peer()
    assert not peer.connection.push(Reply())
    peer.hello()
    assert peer.connection.push(Reply())
    assert peer.hears() == [(Opcode.EMIT, TAG.pack(0) + b'{"success":true}')]


def test_cancel_abandons_a_request() -> None:
    peer = Peer()
    peer.hello()
    peer.say(3, b"", tag=5)
    peer.say(Opcode.CANCEL, TAG.pack(5), tag=6)
    assert peer.answers.cancelled == 1
    assert peer.hears() == [
        (3, TAG.pack(5) + b'{"code":"cancelled"}'),
        (Opcode.CANCEL, TAG.pack(6) + b'{"success":true,"cancelled":true}'),
    ]


def test_cancelling_what_is_not_outstanding_is_harmless() -> None:
    peer = Peer()
    peer.hello()
    peer.say(Opcode.CANCEL, TAG.pack(5), tag=6)
    assert json.loads(peer.hears()[0][1][8:]) == {"success": True, "cancelled": False}


@pytest.mark.parametrize("body", [b"", b"1234567", b"123456789"])
def test_cancel_without_a_tag_is_refused(body: bytes) -> None:
    peer = Peer()
    peer.hello()
    peer.say(Opcode.CANCEL, body, tag=6)
    assert json.loads(peer.hears()[0][1][8:])["code"] == "invalid_request"


@pytest.mark.parametrize("tag", [0, 1 << 62, MORE | 4])
def test_tags_outside_the_range_are_refused(tag: int) -> None:
    peer = Peer()
    peer.hello()
    peer.say(2, b"", tag=tag)
    assert json.loads(peer.hears()[0][1][8:])["code"] == "invalid_request"


def test_a_number_that_is_outstanding_cannot_be_used_again() -> None:
    peer = Peer()
    peer.hello()
    peer.say(3, b"", tag=5)
    peer.say(2, b"", tag=5)
    assert "outstanding" in json.loads(peer.hears()[0][1][8:])["error"]


def test_too_many_outstanding_requests_are_refused_but_can_be_cancelled() -> None:
    peer = Peer(ConnectionLimits(max_outstanding=2))
    peer.hello()
    for tag in (1, 2, 3):
        peer.say(3, b"", tag=tag)
    assert json.loads(peer.hears()[0][1][8:])["code"] == "limit_exceeded"
    peer.say(Opcode.CANCEL, TAG.pack(1), tag=9)
    assert peer.answers.cancelled == 1


def test_a_payload_without_room_for_its_tag_is_refused_and_the_connection_lives() -> None:
    peer = Peer()
    peer.hello()
    peer.say(2, b"short")
    assert json.loads(peer.hears()[0][1][8:])["code"] == "invalid_request"
    peer.say(2, b"ok", tag=1)
    assert peer.hears() == [(2, TAG.pack(1) + b"ok")]


def test_the_largest_payload_passes_with_and_without_a_tag() -> None:
    peer = Peer(ConnectionLimits(max_payload=100))
    peer.say(2, b"x" * 100)
    assert [len(payload) for _, payload in peer.hears()] == [100]
    peer.hello()
    peer.say(2, b"x" * 100, tag=1)
    assert [len(payload) for _, payload in peer.hears()] == [108]
    peer.say(2, b"x" * 101, tag=2)
    assert json.loads(peer.hears()[0][1][8:])["code"] == "limit_exceeded"
    assert peer.transport.disconnecting


def test_bad_magic_gets_one_error_and_a_close_after_the_frames_before_it() -> None:
    peer = Peer()
    peer.connection.dataReceived(encode(0, 2, b"good") + b"GET / HTTP/1.1\r\n" * 10)
    (first, second) = peer.hears()
    assert first == (2, b"good")
    assert json.loads(second[1])["code"] == "invalid_request"
    assert peer.transport.disconnecting
    peer.connection.dataReceived(b"more" * 1000)
    assert peer.hears() == []


def test_a_huge_size_is_refused_from_its_header_alone() -> None:
    peer = Peer()
    peer.connection.dataReceived(HEADER.pack(MAGIC, 0, 2, 1 << 63))
    [(opcode, payload)] = peer.hears()
    assert (opcode, json.loads(payload)["code"]) == (2, "limit_exceeded")
    assert peer.connection.decoder.pending == 0


def test_after_exit_nothing_is_served() -> None:
    peer = Peer()
    peer.say(Opcode.EXIT)
    peer.say(2, b"late")
    assert peer.hears() == [(Opcode.EXIT, b"goodbye")]
    assert not peer.transport.disconnecting
    peer.lose()
    assert peer.closed == [1]


def test_a_lost_connection_cancels_what_it_asked_for() -> None:
    peer = Peer()
    peer.hello()
    peer.say(3, b"", tag=1)
    peer.say(3, b"", tag=2)
    peer.lose()
    assert peer.answers.cancelled == 2


def test_a_frame_that_trickles_in_is_given_up() -> None:
    peer = Peer(ConnectionLimits(frame_timeout=10))
    whole = encode(0, 2, b"x" * 50)
    for second, byte in enumerate(whole[:40]):
        if peer.transport.disconnecting:
            break
        peer.connection.dataReceived(bytes([byte]))
        peer.connection.check(second)
    assert peer.transport.disconnecting
    assert "in time" in json.loads(peer.hears()[0][1])["error"]


def test_the_time_for_a_frame_begins_with_its_first_byte() -> None:
    peer = Peer(ConnectionLimits(frame_timeout=10))
    frame = encode(0, 2, b"x")
    peer.connection.check(0)
    peer.connection.check(100)
    peer.connection.dataReceived(frame[:5])
    peer.connection.check(101)
    peer.connection.check(110)
    peer.connection.dataReceived(frame[5:])
    assert peer.hears() == [(2, b"x")]


def test_an_idle_connection_lives_unless_configured_otherwise() -> None:
    peer = Peer()
    peer.connection.check(0)
    peer.connection.check(10**6)
    assert not peer.transport.disconnecting
    short = Peer(ConnectionLimits(idle_timeout=5))
    short.connection.check(0)
    short.connection.check(6)
    assert short.transport.disconnecting


def test_a_lost_identity_can_be_resumed_within_a_minute() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    first = peer.connection.principal.agent_id
    peer.lose()
    assert peer.closed == []
    again = Peer(sessions=peer.sessions)
    assert again.hello(resume=token)["agent_id"] == first
    peer.clock.advance(RESUME_SECONDS + 1)
    assert first not in peer.closed
    again.lose()
    peer.clock.advance(RESUME_SECONDS + 1)
    assert first in peer.closed


def test_after_a_minute_the_token_is_worth_nothing() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    peer.lose()
    peer.clock.advance(RESUME_SECONDS + 1)
    assert peer.closed == [1]
    late = Peer(sessions=peer.sessions)
    reply = late.hello(resume=token)
    assert (reply["success"], reply["code"]) == (False, "not_found")


def test_a_token_in_use_resumes_nothing() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    thief = Peer(sessions=peer.sessions)
    assert thief.hello(resume=token)["success"] is False


def test_an_agents_identity_is_not_resumed_by_a_token_of_another_kind() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    peer.lose()
    other = Peer(sessions=peer.sessions)
    other.connection.principal.kind = Kind.GUEST
    assert other.hello(resume=token)["success"] is False
    peer.clock.advance(RESUME_SECONDS + 1)


def test_too_many_connections_get_an_error_and_a_close() -> None:
    peer = Peer(ConnectionLimits(max_connections=1))
    extra = Peer(ConnectionLimits(max_connections=1), sessions=peer.sessions)
    assert json.loads(extra.hears()[0][1])["code"] == "limit_exceeded"
    assert extra.transport.disconnecting
    extra.lose()
    assert len(peer.sessions.connections) == 1


def test_a_token_is_worth_nothing_after_exit_or_another_hello() -> None:
    peer = Peer()
    tokens = [peer.hello()["resume"]]
    peer.lose()
    again = Peer(sessions=peer.sessions)
    assert again.hello()["resume"] != tokens[0]
    again.say(Opcode.HELLO, json.dumps({"resume": tokens[0]}).encode(), tag=1)
    tokens.append(json.loads(again.hears()[0][1][8:])["resume"])
    again.say(Opcode.EXIT, b"", tag=2)
    again.lose()
    late = Peer(sessions=peer.sessions)
    assert late.connection.principal.agent_id not in peer.closed
    for token in tokens:
        assert late.hello(resume=token)["success"] is False
    late.lose()
    peer.clock.advance(RESUME_SECONDS + 1)
    assert not peer.sessions._tokens


def test_a_resumed_identity_gets_a_new_token_that_resumes_it_again() -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    for _ in range(3):
        peer.lose()
        peer = Peer(sessions=peer.sessions)
        assert peer.hello()["success"]  # a client that asks twice
        peer.say(Opcode.HELLO, json.dumps({"resume": token}).encode(), tag=1)
        reply = json.loads(peer.hears()[0][1][8:])
        assert reply["agent_id"] == 1
        assert reply["resume"] != token
        token = reply["resume"]


def test_a_token_is_for_the_user_who_got_it(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Peer()
    token = peer.hello()["resume"]
    peer.lose()
    thief = Peer(sessions=peer.sessions)
    monkeypatch.setattr("clove.kernel.sessions._peer", lambda connection: Ucred(9, 4242, 4242))
    assert thief.hello(resume=token)["success"] is False
    monkeypatch.undo()
    owner = Peer(sessions=peer.sessions)
    assert owner.hello(resume=token)["agent_id"] == 1


def guests(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr("clove.kernel.sessions._peer", lambda connection: Ucred(9, uid, uid))


def test_some_connections_are_kept_for_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ConnectionLimits(max_connections=8, operator_connections=2)
    first = Peer(limits)
    first.sessions._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}
    guests(monkeypatch, 4242)
    for _ in range(5):
        assert Peer(limits, first.sessions).connection.principal.kind is Kind.GUEST
    refused = Peer(limits, first.sessions)
    assert json.loads(refused.hears()[0][1])["code"] == "limit_exceeded"
    monkeypatch.undo()
    assert Peer(limits, first.sessions).connection.principal.is_operator


def test_a_guest_has_no_more_connections_than_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ConnectionLimits(max_connections_per_agent=2)
    first = Peer(limits)
    first.sessions._grants = {4242: Level.STANDARD, 4343: Level.STANDARD}
    guests(monkeypatch, 4242)
    peers = [Peer(limits, first.sessions) for _ in range(3)]
    assert json.loads(peers[2].hears()[0][1])["code"] == "limit_exceeded"
    guests(monkeypatch, 4343)
    assert Peer(limits, first.sessions).hears() == []


def test_a_closed_connection_serves_nothing_that_waited() -> None:
    peer = Peer()
    peer.connection.dataReceived(encode(0, 3, b"") + encode(0, 3, b"") + encode(0, 2, b"late"))
    assert len(peer.answers.waiting) == 1
    peer.connection.close()
    assert len(peer.answers.waiting) == 1
    assert peer.hears() == [(3, b'{"code":"cancelled"}')]
    peer.say(2, b"later still")
    assert peer.hears() == []
    assert peer.transport.disconnecting


def test_version_1_stops_reading_when_what_waits_is_large() -> None:
    peer = Peer(ConnectionLimits(max_payload=1000))
    peer.say(3)
    peer.say(2, b"x" * 900)
    assert peer.transport.producerState == "producing"
    peer.say(2, b"x" * 900)
    assert peer.transport.producerState == "paused"
    peer.answers.waiting[0].callback(b"")
    assert peer.transport.producerState == "producing"
    assert len(peer.hears()) == 3


def test_the_bytes_of_outstanding_requests_are_bounded_over_all_of_an_agents_connections() -> None:
    limits = ConnectionLimits(held=20_000)
    first = Peer(limits)
    second = Peer(limits, first.sessions)
    second.connection.principal = first.connection.principal
    first.connection.principal.connections = 2
    for peer in (first, second):
        peer.say(Opcode.HELLO, b'{"protocol_version":2}')
        peer.hears()
    first.say(3, b"x" * 9000, tag=1)
    second.say(3, b"x" * 9000, tag=1)
    second.say(3, b"x" * 9000, tag=2)
    [(_, refusal)] = second.hears()
    assert json.loads(refusal[8:])["code"] == "limit_exceeded"
    first.answers.waiting[0].callback(b"")
    second.say(3, b"x" * 9000, tag=3)
    assert second.hears() == []


def next_turn(clock: Clock) -> None:
    """What a reactor does in one turn: calls made meanwhile wait for the next."""
    due, clock.calls = clock.calls, []
    for call in due:
        call.func()


def test_others_have_their_turn_between_requests_that_each_take_a_while() -> None:
    peer = Peer()
    answer = peer.answers.answer

    def slowly(*arguments: Any) -> Any:
        peer.clock.rightNow += 0.004
        return answer(*arguments)

    peer.answers.answer = slowly  # type: ignore[method-assign,assignment]
    peer.connection.dataReceived(b"".join(encode(0, 2, b"%d" % n) for n in range(5)))
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
    peer.connection.dataReceived(encode(0, 2, b"") * 3)
    peer.lose()
    assert not peer.clock.getDelayedCalls()
