"""Run as an agent: sends the kernel descriptors that take long to close, or that hold it up."""

import array
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable

from tests.adversary.attempting import attempt, report

HEADER = struct.Struct("<IIBQ")
MAGIC = 0x41474E54
NOOP, RECV = 0x00, 0x21
HOUR = 3600


def lingering() -> int:
    """A TCP socket whose close waits an hour for a peer that reads nothing."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        end.connect(listening.getsockname())
        listening.accept()[0].detach()
    end.setblocking(False)
    try:
        while True:
            end.send(b"x" * 4096)
    except BlockingIOError:
        pass
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, HOUR))
    return end.detach()


def connected(wait: float = 0) -> socket.socket:
    """A connection.

    @param wait: seconds for which the kernel will not read what comes: it has a request
        to answer first, and as many behind it as it takes.
    """
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(20)
    end.connect(os.environ["CLOVE_SOCKET"])
    if wait:
        body = json.dumps({"wait": wait}).encode()
        end.sendall(HEADER.pack(MAGIC, 0, RECV, len(body)) + body)
        end.sendall(HEADER.pack(MAGIC, 0, NOOP, 0) * 300)
    return end


def give(end: socket.socket, make: Callable[[], int], flags: int = 0) -> None:
    """Send a descriptor that nobody else has, once its maker has ended.

    @raise OSError: it is refused.
    """
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [make()]))
            end.sendmsg([b"T"], [rights], flags)
        except OSError as error:
            code = error.errno or 1
        os._exit(code)  # closes without waiting for peers
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, "")


def given(make: Callable[[], int], flags: int = 0, wait: float = 0) -> str:
    """What becomes of a connection over which it is sent."""
    with connected(wait) as end:
        give(end, make, flags)
        told = b""
        while True:
            try:
                data = end.recv(4096)
            except ConnectionResetError:  # said once, since the kernel did not read everything
                continue
            if not data:
                break
            told += data
    return "cut off, told why" if b"descriptors are not accepted" in told else "cut off"


def within_a_socket() -> int:
    inner, outer = socket.socketpair()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [lingering()]))
    inner.sendmsg([b"T"], [rights])
    return outer.detach()


def memory() -> int:
    held = os.memfd_create("held")
    for at in range(0, 32 << 20, 1 << 20):
        os.pwrite(held, b"x" * (1 << 20), at)
    return held


def deleted_file() -> int:
    held = os.open("held", os.O_RDWR | os.O_CREAT)
    for at in range(2000):  # every second block
        os.pwrite(held, b"x" * 4096, at * 8192)
    os.unlink("held")
    return held


@attempt
def a_socket_that_lingers() -> str:
    return given(lingering)


@attempt
def a_socket_that_lingers_unread() -> str:
    return given(lingering, wait=0.5)


@attempt
def a_socket_that_lingers_out_of_band() -> str:
    return given(lingering, socket.MSG_OOB, wait=0.5)


@attempt
def a_socket_within_a_socket() -> str:
    return given(within_a_socket, wait=0.5)


@attempt
def much_memory() -> str:
    return given(memory, wait=0.5)


@attempt
def a_deleted_file() -> str:
    return given(deleted_file, wait=0.5)


@attempt
def a_connection_left_at_once() -> str:
    with connected() as end:
        give(end, lingering)
    return "left"


@attempt
def more_connections_than_it_may_have() -> str:
    ends = [connected() for _ in range(100)]
    for end in ends:
        with contextlib.suppress(BrokenPipeError):  # cut off before
            give(end, lingering)
    return "left"


report()
