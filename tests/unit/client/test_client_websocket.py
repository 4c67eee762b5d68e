"""The blocking client's WebSocket, against Autobahn's rules and any pieces."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.client.websocket import BINARY, PING, TEXT, Decoder, Message, encode, request
from clove.errors import ConnectionLost

MOST = 1 << 17


def opened() -> Decoder:
    _, accept = request("relay.example", 8765)
    decoder = Decoder(accept, MOST)
    head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    assert decoder.feed(head) == []
    assert decoder.is_open
    return decoder


def served(first: int, data: bytes) -> bytes:
    """A server's frame, which is not masked."""
    if len(data) < 126:
        return bytes((first, len(data))) + data
    if len(data) < 1 << 16:
        return struct.pack(">BBH", first, 126, len(data)) + data
    return struct.pack(">BBQ", first, 127, len(data)) + data


@given(
    st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY, PING]), st.binary(max_size=70_000)), max_size=5
    ),
    st.lists(st.integers(1, 5000), min_size=1, max_size=9),
)
def test_messages_come_whole_in_any_pieces(
    messages: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    decoder = opened()
    stream = b"".join(served(0x80 | kind, data) for kind, data in messages)
    found: list[Message] = []
    turn = 0
    while stream:
        size = cuts[turn % len(cuts)]
        found += decoder.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert found == messages


def test_a_message_in_parts_is_one() -> None:
    decoder = opened()
    parts = served(BINARY, b"a") + served(0x80 | PING, b"!") + served(0, b"b") + served(0x80, b"c")
    assert decoder.feed(parts) == [(PING, b"!"), (BINARY, b"abc")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_what_is_sent_is_masked(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    sent = encode(BINARY, data[:size])
    assert sent[0] == 0x80 | BINARY
    assert sent[1] & 0x80
    mask, body = sent[len(sent) - size - 4 : len(sent) - size], sent[len(sent) - size :]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)) == data[:size]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"nonsense\r\n\r\n",
        bytes(1 << 15),
    ],
)
def test_what_is_no_relay_is_said_to_be_none(answer: bytes) -> None:
    with pytest.raises(ConnectionLost):
        Decoder(request("x", 1)[1], MOST).feed(answer)


@pytest.mark.parametrize(
    "frame",
    [b"\xc2\x01a", b"\x82\x81abcda", b"\x82\x7f" + struct.pack(">Q", 1 << 40)],
    ids=["extension", "masked", "long"],
)
def test_a_frame_that_no_relay_sends_ends_the_connection(frame: bytes) -> None:
    with pytest.raises(ConnectionLost):
        opened().feed(frame)
