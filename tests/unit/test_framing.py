"""The decoder against every way that a stream can be cut or broken."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clove.framing import (
    DEFAULT_MAX_PAYLOAD,
    HEADER_SIZE,
    MAGIC,
    BadFrame,
    BadMagic,
    Frame,
    FrameDecoder,
    Opcode,
    TooLarge,
    encode,
    join_binary,
    split_binary,
    split_tag,
)

SMALL = 64
"""A payload limit that generated examples reach."""

frames_of = st.lists(
    st.builds(
        Frame,
        st.integers(0, 2**32 - 1),
        st.integers(0, 255),
        st.binary(max_size=SMALL),
    ),
    max_size=8,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def drink(decoder: FrameDecoder, parts: list[bytes]) -> tuple[list[Frame], BadFrame | None]:
    """Feed all parts; the frames, and the error that ended it, if one did."""
    frames: list[Frame] = []
    for part in parts:
        try:
            frames += decoder.feed(part)
        except BadFrame as error:
            return frames + getattr(error, "frames", []), error
        assert decoder.pending < HEADER_SIZE + decoder.max_payload
    return frames, None


def test_the_bytes_are_those_of_the_contract() -> None:
    data = encode(7, Opcode.SEND, b"{}")
    assert data == b"\x54\x4e\x47\x41" + struct.pack("<IBQ", 7, 0x20, 2) + b"{}"
    assert HEADER_SIZE == 17


@given(frames_of, st.lists(st.integers(0, 2000), max_size=12))
def test_any_split_gives_the_same_frames(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(encode(*frame) for frame in frames)
    decoder = FrameDecoder(SMALL)
    assert drink(decoder, pieces(stream, cuts)) == (frames, None)
    assert decoder.pending == 0


def test_byte_by_byte_gives_the_same_frames() -> None:
    frames = [Frame(1, 2, b"abc"), Frame(0, 255, b""), Frame(2**32 - 1, 0, b"x" * SMALL)]
    stream = b"".join(encode(*frame) for frame in frames)
    parts = [stream[at : at + 1] for at in range(len(stream))]
    assert drink(FrameDecoder(SMALL), parts) == (frames, None)


@given(frames_of, st.binary(max_size=200), st.lists(st.integers(0, 2000), max_size=12))
def test_any_bytes_give_frames_or_one_error_whatever_the_split(
    frames: list[Frame], rubbish: bytes, cuts: list[int]
) -> None:
    stream = b"".join(encode(*frame) for frame in frames) + rubbish
    whole, error = drink(FrameDecoder(SMALL), [stream])
    split, error_of_split = drink(FrameDecoder(SMALL), pieces(stream, cuts))
    assert whole[: len(frames)] == frames
    assert split == whole
    assert type(error_of_split) is type(error)


@given(st.lists(st.binary(max_size=100), max_size=20))
@settings(max_examples=200)
def test_rubbish_never_raises_anything_else(parts: list[bytes]) -> None:
    drink(FrameDecoder(SMALL), parts)


@given(st.binary(min_size=1, max_size=4))
def test_a_wrong_magic_is_refused_at_its_first_wrong_byte(head: bytes) -> None:
    decoder = FrameDecoder()
    if MAGIC.to_bytes(4, "little").startswith(head):
        assert decoder.feed(head) == []
        assert decoder.pending == len(head)
    else:
        with pytest.raises(BadMagic):
            decoder.feed(head)


def test_a_wrong_magic_in_a_header_cut_anywhere_is_refused() -> None:
    bad = b"HTTP" + encode(1, 2, b"")[4:]
    for cut in range(len(bad)):
        _, error = drink(FrameDecoder(), pieces(bad, [cut]))
        assert isinstance(error, BadMagic)


def test_frames_before_a_broken_one_are_not_lost() -> None:
    with pytest.raises(BadMagic) as caught:
        FrameDecoder().feed(encode(1, 2, b"good") + b"rubbish that is no header at all")
    assert caught.value.frames == [Frame(1, 2, b"good")]  # type: ignore[attr-defined]


def test_frames_before_a_short_wrong_magic_are_not_lost() -> None:
    with pytest.raises(BadMagic) as caught:
        FrameDecoder().feed(encode(1, 2, b"good") + b"GET")
    assert caught.value.frames == [Frame(1, 2, b"good")]  # type: ignore[attr-defined]


def test_frames_before_one_that_is_too_large_are_not_lost() -> None:
    data = encode(1, 2, b"good") + encode(3, 4, b"x" * 65)
    with pytest.raises(TooLarge) as caught:
        FrameDecoder(64).feed(data)
    assert caught.value.frames == [Frame(1, 2, b"good")]  # type: ignore[attr-defined]
    assert (caught.value.agent_id, caught.value.opcode) == (3, 4)


@pytest.mark.parametrize("size", [0, 1, DEFAULT_MAX_PAYLOAD - 1, DEFAULT_MAX_PAYLOAD])
def test_a_payload_up_to_the_limit_inclusive_is_taken(size: int) -> None:
    assert FrameDecoder().feed(encode(1, 0, bytes(size))) == [Frame(1, 0, bytes(size))]


@pytest.mark.parametrize("size", [DEFAULT_MAX_PAYLOAD + 1, 2**32, 2**63, 2**64 - 1])
def test_a_size_over_the_limit_is_refused_before_any_of_it_is_kept(size: int) -> None:
    decoder = FrameDecoder()
    with pytest.raises(TooLarge, match=str(size)):
        decoder.feed(struct.pack("<IIBQ", MAGIC, 0, 0, size) + b"x" * 1000)
    assert decoder.pending == 0


def test_the_limit_may_change_between_frames() -> None:
    decoder = FrameDecoder(4)
    assert decoder.feed(encode(1, 0, b"1234")) == [Frame(1, 0, b"1234")]
    decoder.max_payload = 12
    assert decoder.feed(encode(1, 0, b"tagtagtag123")) == [Frame(1, 0, b"tagtagtag123")]


def test_a_large_payload_in_small_pieces_is_not_copied_for_each_piece() -> None:
    """64 MiB in 64 KiB pieces: a buffer copied each time would move 32 GiB."""
    size = 64 << 20
    decoder = FrameDecoder(size)
    decoder.feed(struct.pack("<IIBQ", MAGIC, 1, 0, size))
    piece = bytes(1 << 16)
    for _ in range(size // len(piece) - 1):
        assert decoder.feed(piece) == []
    (frame,) = decoder.feed(piece)
    assert len(frame.payload) == size


@given(st.integers(0, 2**64 - 1), st.binary(max_size=20))
def test_a_tag_comes_off_as_it_was_put_on(tag: int, rest: bytes) -> None:
    assert split_tag(struct.pack("<Q", tag) + rest) == (tag, rest)


@pytest.mark.parametrize("length", range(8))
def test_a_payload_shorter_than_a_tag_is_a_bad_frame(length: int) -> None:
    with pytest.raises(BadFrame):
        split_tag(bytes(length))


def test_every_opcode_of_the_contract_is_there_once() -> None:
    listed = "00 01 02 03 04 05 06 07 08 09 0A 10 11 12 14 15 16 17 18 19 1A 1B 1C 1D 1E 20 21 22 23 24 30 31 32 33 40 41 42 50 60 61 62 63"
    listed += " 70 71 72 73 74 76 77 80 90 91 92 93 94 95 A0 A1 A2 A3 A4 A5 A6 A7 A8 B0 B1 B2 B3 B4 C0 C1 C2 C3"
    listed += " F0 FD FE FF"
    assert sorted(Opcode) == [int(code, 16) for code in listed.split()]


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_binary_payload_is_taken_apart_as_it_was_joined(facts: bytes, data: bytes) -> None:
    assert split_binary(join_binary(facts, data)) == (facts, data)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\x05\0\0\0{}", b"{}   ", b"\x01\0\0\0\0"])
def test_what_is_no_binary_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        split_binary(payload)
