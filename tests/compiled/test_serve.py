"""The compiled part by itself: what it serves, and what it leaves."""

from __future__ import annotations

import array
import socket
from collections.abc import Iterator

import pytest

from clove._version import __version__
from clove.framing import HEADER, MAGIC, TAG, Opcode, encode
from clove.kernel.connection import buffers, framing_v1
from tests.compiled.serving import FAILED, LEFT, Served, fast

NOOP = encode(1, Opcode.NOOP, b"")
LARGEST = 1 << 16


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.end()


def test_it_is_of_the_trees_version() -> None:
    assert fast.__version__ == __version__


def test_noops_are_echoed_under_the_callers_own_id_and_counted(served: Served) -> None:
    assert served.serve(NOOP, encode(2, 0, b"ping")) == 2
    assert served.replies() == [(7, 0, b""), (7, 0, b"ping")]
    assert served.principal.syscalls == 2
    assert not served.sender.sent


def test_other_requests_are_answered_in_order_and_sent_together(served: Served) -> None:
    asked: list[tuple[int, bytes, int]] = []

    def answer(opcode: int, payload: bytes) -> bytes:
        asked.append((opcode, payload, served.principal.syscalls))
        return payload.upper()

    assert (
        served.serve(NOOP, encode(0, 0x30, b"a"), NOOP, encode(0, 0xFC, b"b"), answer=answer) == 4
    )
    assert asked == [(0x30, b"a", 1), (0xFC, b"b", 2)]
    assert served.replies() == [(7, 0, b""), (7, 0x30, b"A"), (7, 0, b""), (7, 0xFC, b"B")]
    assert len(served.sender.sent) == 1
    assert served.principal.syscalls == 2  # what answers counts the others


@pytest.mark.parametrize(
    "unusual",
    [
        b"no magic number, and long enough",
        *(encode(0, opcode, b"") for opcode in (Opcode.CANCEL, Opcode.HELLO, Opcode.EXIT)),
        HEADER.pack(MAGIC, 0, 0, 101) + bytes(101),
        *(
            HEADER.pack(MAGIC, 0, 0, size) + bytes(90)
            for size in (1 << 63, (1 << 64) - 1, (1 << 64) - 17)
        ),
    ],
)
def test_what_is_unusual_is_left_with_all_that_follows(served: Served, unusual: bytes) -> None:
    rest = unusual + NOOP
    assert served.serve(NOOP + rest, limit=100) == (1, rest, False, None)
    assert served.replies() == [(7, 0, b"")]
    assert served.serve(rest, limit=100) == (0, rest, False, None)


@pytest.mark.parametrize("part", [NOOP[:-1], NOOP[:1], encode(0, 2, b"payload")[:-1]])
def test_the_part_of_a_request_is_left(served: Served, part: bytes) -> None:
    assert served.serve(NOOP + part) == (1, part, False, None)


def test_a_payload_as_large_as_the_limit_is_served(served: Served) -> None:
    assert served.serve(encode(0, 0, bytes(100)), encode(0, 2, bytes(100)), limit=100) == 2


def test_nothing_after_a_request_without_an_immediate_answer_is_served(served: Served) -> None:
    answer = {2: b"two", 3: "held"}
    said = encode(0, 2, b"") + encode(0, 3, b"") + NOOP
    assert served.serve(said, answer=lambda opcode, payload: answer[opcode]) == (
        2,
        NOOP,
        False,
        "held",
    )
    assert served.replies() == [(7, 2, b"two")]
    alone = encode(0, 3, b"")
    assert served.serve(alone, answer=lambda opcode, payload: "held") == (1, b"", False, "held")
    assert served.serve(alone, answer=lambda opcode, payload: None) == (1, b"", False, None)


def test_nothing_after_the_end_of_the_turn_is_served(served: Served) -> None:
    two = encode(0, 2, b"")
    assert served.serve(NOOP + two + NOOP, turn=-1.0) == (2, NOOP, True, None)
    assert served.serve(two, turn=-1.0) == 1
    assert served.serve(NOOP + NOOP, turn=-1.0) == 2  # the clock is not read for these


@pytest.mark.parametrize("what", ["closing", "congested"])
def test_nothing_is_served_once_a_request_has_stopped_the_connection(
    served: Served, what: str
) -> None:
    def answer(opcode: int, payload: bytes) -> bytes:
        setattr(served if what == "closing" else served.sender, what, True)
        return b"done"

    assert served.serve(encode(0, 2, b"") + NOOP, answer=answer) == (1, NOOP, False, None)
    assert served.sender.sent == [encode(7, 2, b"done")]
    assert served.heard() == b""


def test_a_socket_that_a_request_closed_is_not_written_to(served: Served) -> None:
    other = socket.socketpair()

    def answer(opcode: int, payload: bytes) -> bytes:
        number = served.ours.detach()
        socket.close(number)
        served.ours = other[0].dup()  # which gets its number
        assert served.ours.fileno() == number
        served.closing = True
        return b"done"

    assert served.serve(NOOP + encode(0, 2, b""), answer=answer) == 2
    other[1].settimeout(0)
    with pytest.raises(BlockingIOError):
        other[1].recv(1)
    for end in other:
        end.close()


def test_a_call_within_a_call_reads_nothing(served: Served) -> None:
    other, within = Served(), []

    def answer(opcode: int, payload: bytes) -> bytes:
        within.append(other.serve(NOOP))
        return payload

    request = encode(0, 2, bytes(range(200)))
    assert served.serve(request, NOOP, answer=answer) == 2
    assert within == [LEFT]
    assert served.replies() == [(7, 2, bytes(range(200))), (7, 0, b"")]
    assert other.serve() == 1
    other.end()


def test_an_error_of_what_answers_is_passed_on_and_the_next_call_serves(served: Served) -> None:
    def answer(opcode: int, payload: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        served.serve(NOOP + encode(0, 2, b""), answer=answer)
    assert served.serve(NOOP) == 1
    assert served.replies() == [(7, 0, b"")]


def test_payloads_outlast_the_buffer(served: Served) -> None:
    kept: list[bytes] = []

    def answer(opcode: int, payload: bytes) -> bytes:
        kept.append(payload)
        return b""

    served.serve(encode(0, 2, b"first") + encode(0, 2, b"second"), answer=answer)
    served.serve(encode(0, 0, b"x" * 100))
    assert kept == [b"first", b"second"]


@pytest.mark.parametrize(
    "size", [2 * LARGEST - 18, 2 * LARGEST - 17, 2 * LARGEST - 16, 5 * LARGEST]
)
def test_replies_of_any_size_go_out_whole_and_in_order(served: Served, size: int) -> None:
    large = bytes([size % 251]) * size
    said = NOOP + encode(0, 2, b"") + NOOP + encode(0, 4, b"") + NOOP
    assert served.serve(said, answer=lambda opcode, payload: large if opcode == 2 else b"four") == 5
    empty = (7, 0, b"")
    assert served.replies() == [empty, (7, 2, large), empty, (7, 4, b"four"), empty]


@pytest.mark.parametrize("short", range(36))
def test_replies_fill_the_buffer_to_its_last_byte(served: Served, short: int) -> None:
    first = bytes(2 * LARGEST - 17 - short)
    said = encode(0, 2, b"") + NOOP + encode(0, 0, b"z")
    assert served.serve(said, answer=lambda opcode, payload: first) == 3
    assert served.replies() == [(7, 2, first), (7, 0, b""), (7, 0, b"z")]


def test_a_connection_that_a_large_reply_has_congested_is_served_no_further(served: Served) -> None:
    def answer(opcode: int, payload: bytes) -> bytes:
        return bytes(2 * LARGEST - 17)

    send = served.sender.send

    def congest(data: bytes) -> None:
        send(data)
        served.sender.congested = True

    served.sender.send = congest  # type: ignore[method-assign]
    said = encode(0, 2, b"") + NOOP + NOOP
    assert served.serve(said, answer=answer) == (1, NOOP + NOOP, False, None)


def test_what_the_socket_does_not_take_is_the_senders(served: Served) -> None:
    said = encode(0, 0, bytes(4000))
    number = 0
    while not served.sender.sent:
        assert served.serve(said) == 1
        number += 1
    heard = bytearray()
    while piece := served.heard():
        heard += piece
    assert bytes(heard) + served.sender.sent[0] == encode(7, 0, bytes(4000)) * number


def test_a_peer_that_is_gone_leaves_the_replies_to_the_sender(served: Served) -> None:
    served.theirs.sendall(NOOP)
    served.theirs.close()
    assert served.serve() == 1
    assert served.sender.sent == [encode(7, 0, b"")]
    assert served.serve() == LEFT


def test_an_empty_socket_and_one_that_is_none(served: Served) -> None:
    assert served.serve() == 0
    assert served.serve(peeks=True) == 0
    assert served.serve(number=-1) is FAILED
    assert served.serve(number=-1, peeks=True) is FAILED
    served.theirs.close()
    assert served.serve(peeks=True) == LEFT


def test_bytes_with_descriptors_attached_are_left_where_they_are(served: Served) -> None:
    assert served.serve(NOOP, peeks=True) == 1
    with socket.socket(socket.AF_UNIX) as any_socket:
        socket.send_fds(served.theirs, [NOOP], [any_socket.fileno()])
    assert served.serve(peeks=True) == LEFT
    data, ancillary, *_ = served.ours.recvmsg(100, 100)
    assert data == NOOP
    for _, _, numbers in ancillary:
        for number in array.array("i", numbers):
            socket.close(number)


def tagged(opcode: int, tag: int, body: bytes = b"") -> bytes:
    return encode(0, opcode, TAG.pack(tag) + body)


@pytest.mark.parametrize("tag", [1, (1 << 62) - 1])
def test_noops_with_a_tag_are_echoed(served: Served, tag: int) -> None:
    assert served.serve(tagged(0, tag, b"ping"), running={}) == 1
    assert served.serve(tagged(0, tag, b"ping"), running={2: None}) == 1
    assert served.replies() == [(7, 0, TAG.pack(tag) + b"ping")] * 2


@pytest.mark.parametrize(
    "unusual",
    [
        encode(0, 0, b""),
        encode(0, 0, bytes(7)),
        *(tagged(0, tag) for tag in (0, 5, 1 << 62, 1 << 63, (1 << 64) - 1)),
        tagged(0, 1, bytes(buffers.SMALL + 1)),
    ],
)
def test_noops_with_a_tag_that_is_unusual_are_left(served: Served, unusual: bytes) -> None:
    said = tagged(0, 1) + unusual
    assert served.serve(said, running={5: None}) == (1, unusual, False, None)


def test_what_answers_gets_the_tag(served: Served) -> None:
    asked = []

    def answer(opcode: int, payload: bytes) -> bytes:
        asked.append(payload)
        return payload[:8] + b"done"

    assert served.serve(tagged(2, 0, b"x"), tagged(0, 3), answer=answer, running={}) == 2
    assert asked == [TAG.pack(0) + b"x"]
    assert served.replies() == [(7, 2, TAG.pack(0) + b"done"), (7, 0, TAG.pack(3))]


def test_the_numbers_that_it_has_are_those_of_the_wire(served: Served) -> None:
    assert served.serve(encode(0, framing_v1.CONTROL - 1, b"")) == 1
    control = encode(0, framing_v1.CONTROL, b"")
    assert served.serve(control) == (0, control, False, None)
    assert served.serve(tagged(0, 1, bytes(buffers.SMALL)), running={}) == 1
