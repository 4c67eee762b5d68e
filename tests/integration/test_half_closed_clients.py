"""Clients that shut down their sending half after a request, as `nc -N` and `socat` do, at a real kernel."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from clove.framing import FrameDecoder, Opcode, encode
from tests.integration.conftest import KernelProcess
from tests.waiting import until


@contextlib.contextmanager
def connected(kernel: KernelProcess) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as end:
        end.settimeout(30)
        end.connect(kernel.socket)
        yield end


def read_to_end(end: socket.socket) -> bytes:
    found = b""
    while data := end.recv(1 << 16):
        found += data
    return found


def requests(*asked: tuple[Opcode, object]) -> bytes:
    return b"".join(encode(0, opcode, json.dumps(body).encode()) for opcode, body in asked)


def test_all_requests_are_answered_then_the_connection_is_closed(kernel: KernelProcess) -> None:
    with connected(kernel) as end:
        asked = [(Opcode.EXEC, {"command": "sleep 0.3; echo done"}), (Opcode.KEYS, {})]
        end.sendall(requests(*asked))
        end.shutdown(socket.SHUT_WR)
        slow, quick = FrameDecoder(1 << 30).feed(read_to_end(end))
    assert (slow.opcode, json.loads(slow.payload)["stdout"]) == (Opcode.EXEC, "done\n")
    assert (quick.opcode, json.loads(quick.payload)["success"]) == (Opcode.KEYS, True)


def test_replies_that_are_larger_than_the_sockets_room_arrive_whole(kernel: KernelProcess) -> None:
    payload = os.urandom(1 << 20)
    with connected(kernel) as end:
        end.sendall(encode(0, Opcode.NOOP, payload) * 2)
        end.shutdown(socket.SHUT_WR)
        found = FrameDecoder(1 << 30).feed(read_to_end(end))
    assert [frame.payload for frame in found] == [payload] * 2


def sockets(kernel: KernelProcess) -> set[str]:
    found = set()
    for number in os.listdir(f"/proc/{kernel.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/{kernel.pid}/fd/{number}"))
    return {each for each in found if each.startswith("socket:")}


def test_one_that_is_killed_meanwhile_leaves_no_connection(kernel: KernelProcess) -> None:
    before = sockets(kernel)  # perhaps the last test's among them, which go
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:  # pragma: no cover - the client
        try:
            end = socket.socket(socket.AF_UNIX)
            end.connect(kernel.socket)
            end.sendall(requests((Opcode.RECV, {"wait": 100})))
            end.shutdown(socket.SHUT_WR)
            os.write(told, b"x")
            signal.pause()
        finally:
            os._exit(0)
    try:
        os.close(told)
        assert os.read(ready, 1) == b"x"
        own = until(lambda: sockets(kernel) - before, "it is connected")
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    until(lambda: not own & sockets(kernel), "its connection is closed")


@pytest.mark.parametrize("tail", [b"", b"TNGA"])
def test_one_that_asks_for_nothing_is_closed_at_once(kernel: KernelProcess, tail: bytes) -> None:
    with connected(kernel) as end:
        end.sendall(tail)
        end.shutdown(socket.SHUT_WR)
        assert bool(read_to_end(end)) == bool(tail)
