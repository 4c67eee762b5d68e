"""What the two ends of a link say to each other while channels flood it."""

from __future__ import annotations

from clove.channels.multiplex import MOST_CONTROL
from clove.channels.session import FrameKind
from tests.unit.channels.link_pair import LinkPair


def test_an_answer_waits_while_the_other_side_reads_slowly_and_then_comes_first() -> None:
    pair = LinkPair()
    pair.open()
    pair.settle()
    wire = pair.wires[0]
    wire.full = True
    pair.readers[0][0].sender.send(b"flood")
    pair.links[0].send_control({"type": "pong", "id": 1})
    assert not wire.messages
    wire.full = False
    pair.links[0].writable()
    assert [message[4] for message in wire.messages] == [FrameKind.CONTROL, FrameKind.DATA]
    pair.settle()
    assert pair.said == [{"type": "pong", "id": 1}]


def test_what_waits_for_one_that_does_not_read_is_bounded() -> None:
    pair = LinkPair()
    pair.wires[0].full = True
    for number in range(10_000):
        pair.links[0].send_control({"type": "pong", "id": number})
    pair.settle()
    assert [said["id"] for said in pair.said] == list(range(len(pair.said)))
    assert 1 < sum(len(str(said)) for said in pair.said) <= MOST_CONTROL


def test_a_farewell_does_not_wait() -> None:
    pair = LinkPair()
    pair.wires[0].full = True
    pair.links[0].send_control({"type": "leave"}, is_last=True)
    pair.carry(0, 1)
    assert pair.said == [{"type": "leave"}]


def test_what_was_said_to_one_connection_is_not_said_to_the_next() -> None:
    pair = LinkPair()
    pair.wires[0].full = True
    pair.links[0].send_control({"type": "ping", "id": 0})
    pair.cut()
    pair.connect()
    pair.settle()
    assert pair.said == []
