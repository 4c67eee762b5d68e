"""What a hostile or broken client can do to the others: nothing (attacks, row 26)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conformance.conftest import Kernel
from tests.conformance.peer import HEADER, MAGIC, Closed, Peer
from tests.waiting import until

MIB = 1 << 20
GROWTH = 96 * MIB
"""Memory that one misbehaving client may cost: the documented buffers, and what
the allocator keeps of them."""
SEES_DESCRIPTORS = pytest.mark.skipif(
    os.geteuid() != 0, reason="the kernel is undumpable: only root sees its descriptors"
)


@pytest.fixture(autouse=True)
def _bounded(kernel: Kernel) -> Iterator[None]:
    """After each test the kernel answers somebody else and has not grown much."""
    kernel.answers()
    before = kernel.rss()
    yield
    kernel.answers()
    assert kernel.rss() - before < GROWTH


def descriptors(kernel: Kernel) -> int:
    """How many the kernel has open."""
    return len(list(Path(f"/proc/{kernel.process.pid}/fd").iterdir()))


@pytest.mark.parametrize("size", [2**63, 2**64 - 1, 2**63 - 1, 2**32, MIB + 1])
def test_a_size_over_the_limit_gets_one_error_and_a_close(kernel: Kernel, size: int) -> None:
    with kernel.peer() as peer:
        peer.socket.sendall(HEADER.pack(MAGIC, 0, 3, size))
        body = peer.receive().json()
        assert (body["success"], body["code"]) == (False, "limit_exceeded")
        assert peer.closed()


def test_a_wrong_magic_is_answered_and_what_follows_is_not_kept(kernel: Kernel) -> None:
    """300 MB after a bad header: refused by then, or thrown away."""
    before = kernel.rss()
    with kernel.peer() as peer:
        peer.socket.settimeout(20)
        piece = bytes(MIB)
        refused = False
        peer.socket.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 64)
        try:
            for _ in range(300):
                peer.socket.sendall(piece)
        except OSError:
            refused = True
        assert kernel.rss() - before < GROWTH
        if not refused:
            body = peer.receive().json()
            assert (body["success"], body["code"]) == (False, "invalid_request")
            assert peer.closed()


def test_a_wrong_magic_alone_gets_one_error_and_a_close(kernel: Kernel) -> None:
    for head in (b"G", b"GET ", b"\x00" * 17, b"\x54\x4e\x47\x42" + bytes(13), b"\x41\x47\x4e\x54"):
        with kernel.peer() as peer:
            peer.socket.sendall(head)
            body = peer.receive().json()
            assert (body["success"], body["code"]) == (False, "invalid_request")
            assert peer.closed()


def test_unread_replies_are_bounded(kernel: Kernel) -> None:
    """300 MB of replies are asked for; the asker reads none of them."""
    big = kernel.place / "big"
    big.write_bytes(b"x" * (10 * MIB))
    request = json.dumps({"path": "big"}).encode()
    frame = HEADER.pack(MAGIC, 0, 3, len(request)) + request
    before = kernel.rss()
    with kernel.peer() as peer:
        for _ in range(30):
            peer.socket.sendall(frame)
        for _ in range(100):
            kernel.answers()
        assert kernel.rss() - before < GROWTH
    big.unlink()


def test_small_unread_replies_are_bounded(kernel: Kernel) -> None:
    frame = HEADER.pack(MAGIC, 0, 0, MIB) + bytes(MIB)
    before = kernel.rss()
    with kernel.peer() as peer:
        peer.socket.setblocking(False)
        sent = 0
        idle = 0
        while sent < 300 * MIB and idle < 200:
            try:
                sent += peer.socket.send(frame[sent % len(frame) :])
                idle = 0
            except BlockingIOError:
                idle += 1
                kernel.answers()
            except OSError:
                break
        assert kernel.rss() - before < GROWTH


def test_a_slow_reader_gets_everything_in_order(kernel: Kernel) -> None:
    """Back-pressure is not loss."""
    with kernel.peer() as peer:
        for number in range(60):
            peer.send(0, struct.pack("<I", number) * (MIB // 64))
            if number % 7 == 0:
                kernel.answers()
            if number >= 4:
                got = peer.receive().payload
                assert got[:4] == struct.pack("<I", number - 4)


def test_pushes_to_one_that_never_reads_are_bounded(kernel: Kernel) -> None:
    with kernel.peer() as deaf, kernel.peer() as loud:
        deaf.hello2()
        deaf.call(0x60, {"all": True})
        data = json.dumps({"event_type": "noise", "data": "x" * 50_000}).encode()
        for _ in range(2000):
            assert loud.call(0x63, data).json()["success"] in (True, False)


def test_messages_to_one_that_never_receives_are_bounded(kernel: Kernel) -> None:
    """100,000 sends, as row 26 has it."""
    with kernel.peer() as deaf, kernel.peer() as loud:
        target = deaf.call(0).agent_id
        payload = json.dumps({"to": target, "message": "x" * 1000}).encode()
        frame = HEADER.pack(MAGIC, 0, 0x20, len(payload)) + payload
        replies: Counter[bytes] = Counter()
        for _ in range(1000):
            loud.socket.sendall(frame * 100)
            replies.update(loud.receive().payload for _ in range(100))
        codes = set()
        accepted = 0
        for payload, times in replies.items():
            body = json.loads(payload)
            codes.add(body.get("code"))
            accepted += times * body["success"]
        assert codes == {None, "limit_exceeded"}
        received = 0
        while count := deaf.call(0x21, {"max": 100}).json()["count"]:
            received += count
        assert received == accepted


def test_state_of_one_client_is_bounded(kernel: Kernel) -> None:
    with kernel.peer() as greedy:
        value = "x" * (MIB // 2)
        codes = set()
        stored = 0
        for number in range(600):
            key = f"greedy-{number}"
            body = greedy.call(0x30, {"key": key, "value": value, "scope": "agent"}).json()
            codes.add(body.get("code"))
            stored += body["success"]
            if not body["success"]:
                break
        assert "limit_exceeded" in codes
        assert stored > 0


def test_three_hundred_idle_connections_disturb_none(kernel: Kernel) -> None:
    with ExitStack() as stack:
        peers = [stack.enter_context(kernel.peer()) for _ in range(300)]
        ids = {peer.call(0).agent_id for peer in peers}
        assert len(ids) == 300
        kernel.answers()
        assert {peer.call(0).agent_id for peer in peers} == ids


@SEES_DESCRIPTORS
def test_connections_that_come_and_go_leave_nothing(kernel: Kernel) -> None:
    before = descriptors(kernel)
    for _ in range(500):
        with kernel.peer() as peer:
            peer.socket.sendall(HEADER.pack(MAGIC, 0, 2, 100)[:9])
    until(lambda: descriptors(kernel) <= before + 1, "descriptors are closed")


def test_a_half_closed_connection_still_gets_its_reply(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        peer.send(0, b"last words")
        reply = peer.receive()
        peer.socket.shutdown(socket.SHUT_WR)
        assert reply.payload == b"last words"
        assert peer.closed()


@SEES_DESCRIPTORS
def test_descriptors_that_a_client_attaches_are_not_kept(kernel: Kernel) -> None:
    with kernel.peer() as other, open("/dev/null") as null:
        other.call(0)
        before = descriptors(kernel)
        for _ in range(50):
            with kernel.peer() as peer:
                frame = HEADER.pack(MAGIC, 0, 0, 0)
                with contextlib.suppress(PermissionError):  # Linux refuses (6.16), or we cut off
                    socket.send_fds(peer.socket, [frame], [null.fileno()] * 10)
                    assert peer.receive().json()["code"] == "invalid_request"
        other.call(0)
        assert descriptors(kernel) < before + 50  # the kernel may have opened a few of its own


def test_a_byte_a_second_is_cut_off_at_the_frame_deadline(
    make_kernel: Callable[..., Kernel],
) -> None:
    kernel = make_kernel("[limits.connection]\nframe_timeout = 1.0\n")
    with kernel.peer() as slow, kernel.peer() as idle:
        assert idle.call(0).payload == b""
        for byte in HEADER.pack(MAGIC, 0, 0, 1000) + bytes(999):
            slow.socket.sendall(bytes([byte]))
            if select.select([slow.socket], [], [], 0.1)[0]:
                break
        else:
            pytest.fail("all bytes but the last were taken")
        body = slow.receive().json()
        assert body["success"] is False
        assert slow.closed()
        assert idle.call(0, b"idle is no offence").payload == b"idle is no offence"
    kernel.answers()


def test_a_frame_in_two_pieces_after_a_pause_is_served(make_kernel: Callable[..., Kernel]) -> None:
    """The deadline counts from a frame's first byte, not from the last frame."""
    kernel = make_kernel("[limits.connection]\nframe_timeout = 2.0\n")
    frame = HEADER.pack(MAGIC, 0, 0, 4) + b"late"
    with kernel.peer() as peer, kernel.peer() as clock:
        peer.call(0)
        clock.socket.sendall(frame[:10])
        assert clock.receive().json()["success"] is False  # as long as a frame may take is over
        peer.socket.sendall(frame[:10])
        kernel.answers()  # it has seen these, and does by now what it had to do
        peer.socket.sendall(frame[10:])
        assert peer.receive().payload == b"late"


def test_when_descriptors_run_out_the_connected_go_on(make_kernel: Callable[..., Kernel]) -> None:
    kernel = make_kernel(descriptors=96)
    with ExitStack() as stack:
        first = stack.enter_context(kernel.peer())
        first.call(0)
        many = [stack.enter_context(Peer(kernel.socket)) for _ in range(150)]
        for peer in many:
            peer.socket.settimeout(0.5)
        served = 0
        for peer in many:
            try:
                peer.call(0)
                served += 1
            except (Closed, OSError):
                pass
            assert first.call(0, b"still").payload == b"still"
        assert served > 20
    kernel.answers()


def test_too_many_connections_get_an_error_and_a_close(make_kernel: Callable[..., Kernel]) -> None:
    kernel = make_kernel("[limits.connection]\nmax_connections = 10\n")
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(kernel.peer()).call(0)
        with kernel.peer() as late:
            body = late.receive().json()
            assert (body["success"], body["code"]) == (False, "limit_exceeded")
            assert late.closed()
    kernel.answers()
