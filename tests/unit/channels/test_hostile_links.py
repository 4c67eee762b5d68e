"""The other end of a link is hostile: memory stays bounded, and what ends, ends whole (attacks.md, row 26)."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from clove.channels.multiplex import MOST_REFUSED
from clove.channels.multiplexed import LinkLimits
from clove.channels.session import FrameKind, frame
from tests.unit.channels.link_pair import LinkPair

COUNT = struct.Struct(">Q")


def accepting(**limits: Any) -> LinkPair:
    """A pair of which the second end is ours, and the first hostile: its frames are written by hand."""
    return LinkPair(LinkLimits(**limits))


def acknowledge(pair: LinkPair, count: int) -> None:
    pair.wires[1].messages.clear()
    pair.links[1].received(frame(0, FrameKind.ACK, COUNT.pack(count)))


def test_channels_that_were_refused_and_are_not_closed_there_are_bounded() -> None:
    pair = accepting(channels=2)
    ours = pair.links[1]
    for number in range(1, MOST_REFUSED + 10):
        ours.received(frame(number, FrameKind.OPEN, b"{}"))
        if ours.is_over:
            break
        acknowledge(pair, max(0, number - 2))  # the CLOSE of each one that was refused
        pair.clock.advance(0.01)
    assert ours.is_over
    assert not ours.channels
    assert "too many channels" in pair.reasons[0]
    assert len(pair.readers[1]) == 2
    assert all(reader.lost_times == 1 for reader in pair.readers[1])


def test_one_channel_too_many_is_refused_and_leaves_nothing_once_it_is_closed() -> None:
    pair = accepting(channels=2)
    ours = pair.links[1]
    for number in range(1, 3 * MOST_REFUSED):
        ours.received(frame(number, FrameKind.OPEN, b"{}"))
        if number > 2:
            ours.received(frame(number, FrameKind.CLOSE, b"{}"))
            acknowledge(pair, number - 2)
        pair.clock.advance(0.01)
    assert not ours.is_over
    assert len(ours.channels) == 2


def test_empty_pieces_take_no_memory_of_a_reader_that_is_paused() -> None:
    pair = accepting()
    ours = pair.links[1]
    ours.received(frame(1, FrameKind.OPEN, b"{}"))
    channel = ours.channels[1]
    channel.pause()
    for _ in range(1000):
        ours.received(frame(1, FrameKind.DATA))
    assert not channel._arrived
    ours.received(frame(1, FrameKind.DATA, b"on"))
    channel.resume()
    pair.clock.advance(0.2)
    assert pair.readers[1][0].heard == b"on"


@pytest.mark.parametrize(
    "body",
    [
        rb'{"error":"\ud800"}',
        rb'{"\ud800":1}',
        b'{"error":NaN}',
        b"[" * 100_000,
        b'{"error":"\xff"}',
        b"[1]",
    ],
    ids=["half a pair", "in a key", "no number", "deep", "no UTF-8", "no object"],
)
@pytest.mark.parametrize("kind", [FrameKind.OPEN, FrameKind.CLOSE, FrameKind.CONTROL])
def test_an_object_that_cannot_be_written_again_ends_the_link(kind: FrameKind, body: bytes) -> None:
    pair = accepting()
    ours = pair.links[1]
    ours.received(frame(1, FrameKind.OPEN, b"{}"))
    ours.received(frame(2 if kind == FrameKind.OPEN else 1, kind, body))
    assert ours.is_over
    assert pair.reasons
    assert not pair.said
    assert pair.readers[1][0].lost_times == 1
    assert pair.clock.getDelayedCalls() == []
