"""Messages of the control socket, whole and in pieces."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.sandbox.inside.control import (
    MAX_MESSAGE,
    PACKET,
    Assembler,
    BadMessage,
    Channel,
    packets,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(message=st.dictionaries(st.text(), VALUES, max_size=3))
def test_a_message_arrives_as_it_was_sent(message: dict[str, Any]) -> None:
    assembler = Assembler()
    *_, last = [assembler.feed(packet) for packet in packets(message)]
    assert last == message


def test_a_long_message_goes_in_bounded_packets() -> None:
    message = {"text": "x" * (5 * PACKET)}
    pieces = packets(message)
    assert len(pieces) == 6
    assert max(map(len, pieces)) <= PACKET + 1
    assembler = Assembler()
    results = [assembler.feed(piece) for piece in pieces]
    assert results == [None] * 5 + [message]


def test_a_message_that_is_too_long_is_not_made() -> None:
    with pytest.raises(BadMessage, match="over the limit"):
        packets({"text": "x" * MAX_MESSAGE})


def test_pieces_without_end_are_refused() -> None:
    assembler = Assembler()
    for _ in range(MAX_MESSAGE // PACKET):
        assert assembler.feed(b"+" + b"x" * PACKET) is None
    with pytest.raises(BadMessage, match="over the limit"):
        assembler.feed(b"+x")


@given(packet=st.binary(min_size=1))
def test_any_bytes_give_a_message_or_bad_message(packet: bytes) -> None:
    try:
        message = Assembler().feed(packet)
    except BadMessage:
        return
    assert message is None or isinstance(message, dict)


def test_descriptors_ride_with_a_message() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sender, receiver = Channel(ours.detach()), Channel(theirs.detach())
    reader, writer = os.pipe()
    sender.send({"op": "opened"}, (writer,))
    received = receiver.receive()
    assert received is not None
    message, (descriptor,) = received
    assert message == {"op": "opened"}
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"x")
    assert os.read(reader, 1) == b"x"
    sender.close()
    assert receiver.receive() is None
    receiver.close()
    for each in (reader, writer, descriptor):
        os.close(each)
