"""Whether anything is under way on a connection, as its bytes tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clove.client.unanswered import FramesSeen, Unanswered
from clove.framing import MORE, TAG, Opcode, encode


def tagged(opcode: int, tag: int, body: bytes = b"{}") -> bytes:
    return encode(0, opcode, TAG.pack(tag) + body)


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.binary(max_size=40))),
    st.integers(1, 50),
)
def test_frames_are_found_in_whatever_pieces_they_come(
    frames: list[tuple[int, int, bytes]], size: int
) -> None:
    data = b"".join(tagged(*each) for each in frames)
    seen = FramesSeen()
    found = [each for at in range(0, len(data), size) for each in seen.feed(data[at : at + size])]
    assert found == [(opcode, tag) for opcode, tag, _ in frames]
    assert not seen.begun


def test_a_frame_without_a_tag_is_one_too() -> None:
    seen = FramesSeen()
    assert seen.feed(encode(0, Opcode.NOOP, b"") + encode(0, Opcode.NOOP, b"{}")) == [(0, 0)] * 2
    assert not seen.begun


def test_a_request_waits_until_its_last_reply() -> None:
    found = Unanswered()
    assert found.none
    request = tagged(Opcode.LOGS, 7)
    found.asked(request[:5])
    assert not found.none
    found.asked(request[5:])
    found.told(tagged(Opcode.LOGS, 7 | MORE))
    assert not found.none
    found.told(tagged(Opcode.EMIT, 0))
    assert not found.none, "an event answers nothing"
    last = tagged(Opcode.LOGS, 7)
    found.told(last[:-1])
    assert not found.none, "it has not come as a whole"
    found.told(last[-1:])
    assert found.none


def test_what_are_no_frames_is_never_over() -> None:
    found = Unanswered()
    found.told(b"\xff" * 100)
    assert not found.none
    found.told(bytes(1 << 16))
    assert not found.none
