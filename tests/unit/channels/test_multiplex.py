"""A link, cut at any place and made anew: every byte arrives once, and the bounds hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.channels.multiplexed import LinkLimits
from clove.channels.session import (
    MOST_PIECE,
    WINDOW,
    BrokenLink,
    FrameKind,
    Session,
    frame,
)
from tests.unit.channels.link_pair import LinkPair, Wire

SMALL = LinkLimits(unacknowledged=20_000, ack_bytes=3000)

side = st.integers(0, 1)
steps = st.one_of(
    st.tuples(st.just("say"), side, st.integers(0, 2), st.integers(1, 150_000)),
    st.tuples(st.just("carry"), side, st.integers(1, 5)),
    st.tuples(st.just("cut")),
    st.tuples(st.just("connect")),
    st.tuples(st.just("wait")),
    st.tuples(st.just("full"), side, st.booleans()),
    st.tuples(st.just("pause"), side, st.integers(0, 2)),
    st.tuples(st.just("resume"), side, st.integers(0, 2)),
)


class Machine:
    """Takes steps, and knows what was said."""

    def __init__(self, limits: LinkLimits | None) -> None:
        self.pair = LinkPair(limits)
        for _ in range(3):
            self.pair.open()
        self.pair.settle()
        self.said = ([b"", b"", b""], [b"", b"", b""])
        self.next = 0

    def say(self, end: int, number: int, size: int) -> None:
        piece = bytes((self.next + at) % 251 for at in range(min(size, 251))) * (size // 251 + 1)
        self.next += 17
        self.said[end][number] += piece[:size]
        self.pair.readers[end][number].sender.send(piece[:size])

    def carry(self, end: int, count: int) -> None:
        self.pair.carry(end, count)

    def cut(self) -> None:
        self.pair.cut()
        self.pair.wires[0].messages.clear()
        self.pair.wires[1].messages.clear()

    def connect(self) -> None:
        self.cut()
        self.pair.connect()

    def wait(self) -> None:
        self.pair.clock.advance(0.11)

    def full(self, end: int, full: bool) -> None:
        self.pair.wires[end].full = full
        self.pair.links[end].writable()

    def pause(self, end: int, number: int) -> None:
        self.pair.readers[end][number].channel.pause()

    def resume(self, end: int, number: int) -> None:
        self.pair.readers[end][number].channel.resume()

    def check(self, limits: LinkLimits) -> None:
        for end in (0, 1):
            assert (
                self.pair.links[end].session.unacknowledged
                <= limits.unacknowledged + MOST_PIECE * 2
            )
            for number in range(3):
                heard = self.pair.readers[1 - end][number].heard
                assert self.said[end][number].startswith(bytes(heard))


@given(st.lists(steps, max_size=60), st.sampled_from([LinkLimits(), SMALL]))
def test_nothing_is_lost_or_doubled_wherever_it_is_cut(
    taken: list[tuple[object, ...]], limits: LinkLimits
) -> None:
    machine = Machine(limits)
    for name, *arguments in taken:
        step: Callable[..., None] = getattr(machine, str(name))
        step(*arguments)
        machine.check(limits)
    machine.connect()
    for end in (0, 1):
        for number in range(3):
            machine.resume(end, number)
    machine.pair.settle()
    for end in (0, 1):
        for number in range(3):
            assert machine.pair.readers[1 - end][number].heard == machine.said[end][number]
            assert machine.pair.readers[end][number].sender.unsent == 0
    assert machine.pair.reasons == []
    for end in (0, 1):
        assert machine.pair.links[end].session.unacknowledged == 0


def test_a_reader_that_sleeps_holds_up_no_other_channel() -> None:
    pair = LinkPair()
    pair.open()
    pair.open()
    pair.settle()
    pair.readers[1][0].channel.pause()
    pair.readers[0][0].sender.send(bytes(3 * WINDOW))
    pair.readers[0][1].sender.send(b"quick")
    pair.settle()
    assert pair.readers[1][1].heard == b"quick"
    assert pair.readers[1][0].heard == b""
    assert pair.readers[0][0].sender.unsent == 2 * WINDOW


def test_a_session_without_acknowledgements_sends_no_more_than_it_may_keep() -> None:
    pair = LinkPair(LinkLimits(unacknowledged=1 << 20))
    for _ in range(16):
        pair.open()
    pair.settle()
    pair.cut()
    pair.connect()
    for reader in pair.readers[0]:
        reader.sender.send(bytes(WINDOW))
    sent = sum(map(len, pair.wires[0].messages))
    assert 1 << 20 <= sent < (1 << 20) + 2 * MOST_PIECE
    pair.settle()
    assert {len(reader.heard) for reader in pair.readers[1]} == {WINDOW}


def test_closing_survives_a_cut() -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    pair.readers[0][0].sender.send(b"the end")
    pair.cut()
    pair.readers[0][0].channel.close()
    pair.wires[0].messages.clear()
    pair.connect()
    pair.settle()
    assert pair.readers[1][0].heard == b"the end"
    assert pair.readers[0][0].lost_times == pair.readers[1][0].lost_times == 1
    assert pair.links[0].channels == pair.links[1].channels == {}


def test_the_end_of_a_link_is_the_end_of_its_channels() -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    pair.links[1].end("it is over")
    pair.links[1].end("again")
    assert pair.reasons == ["it is over"]
    assert pair.wires[1].ended == "it is over"
    assert pair.readers[1][0].lost_times == 1
    with pytest.raises(BrokenLink):
        pair.links[1].open({})


def test_one_channel_too_many_is_refused_and_the_link_goes_on() -> None:
    pair = LinkPair()
    pair.links[1].limits = LinkLimits(channels=1)
    pair.open()
    pair.open()
    pair.settle()
    first, second = pair.readers[0]
    assert (first.lost_times, second.lost_times) == (0, 1)
    assert "too many" in second.channel.error
    first.sender.send(b"still here")
    pair.settle()
    assert pair.readers[1][0].heard == b"still here"


RULES = {
    "short": b"\0\0",
    "kind": frame(1, 6),
    "channel": frame(99, FrameKind.DATA, b"x"),
    "open": frame(1, FrameKind.OPEN, b"{}"),
    "open 0": frame(0, FrameKind.OPEN, b"{}"),
    "object": frame(5, FrameKind.OPEN, b"[]"),
    "not JSON": frame(0, FrameKind.CONTROL, b"{"),
    "deep": frame(0, FrameKind.CONTROL, b"[" * 100_000),
    "piece": frame(1, FrameKind.DATA, bytes(MOST_PIECE + 1)),
    "ack": frame(0, FrameKind.ACK, b"\xff" * 8),
    "short ack": frame(0, FrameKind.ACK, b"\xff"),
    "window": frame(1, FrameKind.WINDOW, b"\xff" * 4),
    "short window": frame(1, FrameKind.WINDOW, b"\xff"),
    "close": frame(1, FrameKind.CLOSE, b"[]"),
}


@pytest.mark.parametrize("message", RULES.values(), ids=RULES)
def test_a_frame_that_breaks_the_rules_ends_the_link(message: bytes) -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    pair.links[1].received(message)
    assert len(pair.reasons) == 1
    assert pair.readers[1][0].lost_times == 1
    pair.links[1].received(frame(1, FrameKind.DATA, b"too late"))
    assert pair.readers[1][0].heard == b""


def test_a_sender_that_exceeds_its_window_ends_the_link() -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    pair.readers[1][0].channel.pause()
    for _ in range(WINDOW // MOST_PIECE):
        pair.links[1].received(frame(1, FrameKind.DATA, bytes(MOST_PIECE)))
    assert pair.reasons == []
    pair.links[1].received(frame(1, FrameKind.DATA, b"x"))
    assert "more bytes" in pair.reasons[0]


def test_a_kernel_opens_no_channels() -> None:
    pair = LinkPair()
    pair.links[0].received(frame(1, FrameKind.OPEN, b"{}"))
    assert "opens the channels" in pair.reasons[0]


def test_a_session_that_is_never_acknowledged_breaks() -> None:
    session = Session(most_unacknowledged=1000)
    session.keep(bytes(900))
    assert not session.is_full
    session.keep(bytes(100))
    assert session.is_full
    with pytest.raises(BrokenLink):
        session.keep(bytes(300_000))


@given(st.binary(max_size=200))
def test_any_message_is_understood_or_ends_the_link(message: bytes) -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    pair.links[1].received(message)
    assert len(pair.reasons) <= 1


def test_one_that_says_to_have_what_was_never_sent_is_not_resumed() -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    pair.cut()
    for count in (99, 0):
        with pytest.raises(BrokenLink):
            pair.links[0].attach(Wire(), count)
