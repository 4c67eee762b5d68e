"""The order of replies, tags, streaming and cancelling on a connection."""

from __future__ import annotations

import gc
import json
import weakref

import pytest

from clove.framing import HEADER, MAGIC, MORE, TAG, Opcode, encode
from clove.kernel.connection.limits import ConnectionLimits
from clove.messages import Reply
from tests.unit.kernel.connection_peer import Peer


def test_replies_carry_the_connections_own_id() -> None:
    peer = Peer()
    peer.connection.data_received(encode(999, 0, b"x"))
    [frame] = peer.decoder.feed(peer.channel.take())
    assert frame.agent_id == peer.connection.principal.agent_id


def test_version_1_answers_in_order_even_when_an_early_request_takes_long() -> None:
    peer = Peer()
    peer.connection.data_received(encode(0, 3, b"slow") + encode(0, 2, b"b") + encode(0, 4, b"c"))
    assert peer.hears() == []
    peer.answers.waiting[0].callback(b"a")
    assert peer.hears() == [(3, b"a"), (2, b"b"), (4, b"c")]


def test_version_1_stops_reading_when_too_much_waits() -> None:
    peer = Peer(ConnectionLimits(max_waiting=4))
    peer.say(3)
    for _ in range(4):
        peer.say(2)
    assert peer.channel.paused
    peer.answers.waiting[0].callback(b"")
    assert not peer.channel.paused
    assert len(peer.hears()) == 5


def test_the_garbage_collector_lets_go_of_requests_that_wait() -> None:
    """There may be hundreds of thousands: to go over all of them held the reactor up for 100 ms."""
    peer = Peer()
    peer.say(3)
    peer.connection.data_received(encode(0, 2, b"") * 3000)
    [batch] = peer.connection.flow._inbox
    for _ in range(5):  # what is in it first, in whatever order they lie
        gc.collect()
    assert len(batch) == 3000
    assert not gc.is_tracked(batch)
    peer.answers.waiting[0].callback(b"")
    assert len(peer.hears()) == 3001


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
    assert peer.channel.closing


def test_bad_magic_gets_one_error_and_a_close_after_the_frames_before_it() -> None:
    peer = Peer()
    peer.connection.data_received(encode(0, 2, b"good") + b"GET / HTTP/1.1\r\n" * 10)
    (first, second) = peer.hears()
    assert first == (2, b"good")
    assert json.loads(second[1])["code"] == "invalid_request"
    assert peer.channel.closing
    peer.connection.data_received(b"more" * 1000)
    assert peer.hears() == []


def test_a_huge_size_is_refused_from_its_header_alone() -> None:
    peer = Peer()
    peer.connection.data_received(HEADER.pack(MAGIC, 0, 2, 1 << 63))
    [(opcode, payload)] = peer.hears()
    assert (opcode, json.loads(payload)["code"]) == (2, "limit_exceeded")
    assert peer.connection.decoder.pending == 0


def test_after_exit_nothing_is_served() -> None:
    peer = Peer()
    peer.say(Opcode.EXIT)
    peer.say(2, b"late")
    assert peer.hears() == [(Opcode.EXIT, b"goodbye")]
    assert not peer.channel.closing
    peer.lose()
    assert peer.closed == [1]


def test_a_lost_connection_cancels_what_it_asked_for() -> None:
    peer = Peer()
    peer.hello()
    peer.say(3, b"", tag=1)
    peer.say(3, b"", tag=2)
    peer.lose()
    assert peer.answers.cancelled == 2


def test_a_closed_connection_serves_nothing_that_waited() -> None:
    peer = Peer()
    peer.connection.data_received(encode(0, 3, b"") + encode(0, 3, b"") + encode(0, 2, b"late"))
    assert len(peer.answers.waiting) == 1
    peer.connection.close()
    assert len(peer.answers.waiting) == 1
    assert peer.hears() == [(3, b'{"code":"cancelled"}')]
    peer.say(2, b"later still")
    assert peer.hears() == []
    assert peer.channel.closing


def test_version_1_stops_reading_when_what_waits_is_large() -> None:
    peer = Peer(ConnectionLimits(max_payload=1000))
    peer.say(3)
    peer.say(2, b"x" * 900)
    assert not peer.channel.paused
    peer.say(2, b"x" * 900)
    assert peer.channel.paused
    peer.answers.waiting[0].callback(b"")
    assert not peer.channel.paused
    assert len(peer.hears()) == 3


def test_the_bytes_of_outstanding_requests_are_bounded_over_all_of_an_agents_connections() -> None:
    limits = ConnectionLimits(held=20_000)
    first = Peer(limits)
    second = Peer(limits, first.principals)
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


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("refused", [False, True])
def test_a_lost_connection_leaves_nothing_to_the_collector_of_cycles(
    version: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Peer()
    if refused:
        monkeypatch.setattr(Peer, "uid", 4242)
    peer = Peer(principals=first.principals)
    if version == 2 and not refused:
        peer.hello()
    tag = 1 if version == 2 else None
    peer.say(3, b"slow", tag)
    peer.say(2, b"quick", None if tag is None else 2)
    peer.lose()
    first.principals.stop()
    peer.answers.waiting.clear()
    peer.answers.streams.clear()
    seen = weakref.ref(peer.connection)
    gc.collect()
    gc.disable()
    try:
        del peer
        assert seen() is None
    finally:
        gc.enable()


def test_what_is_streamed_to_a_lost_connection_goes_nowhere() -> None:
    peer = Peer()
    peer.hello()
    peer.say(3, b"", tag=5)
    peer.lose()
    peer.answers.streams[0](Reply())
    assert not peer.connection.push(Reply())
    peer.connection.close()
    peer.connection.check(1.0)
    assert peer.hears() == []
