"""What a sandbox sends as a socket of its own is looked at before the kernel connects with it."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

import pytest

from clove.errors import Unavailable
from clove.kernel.network.published.inner_socket import connect_inside, require_cookies

HOST = require_cookies()
OTHER = HOST + 1
"""As if the kernel were in another network than the sockets of this process."""


async def reached(descriptors: list[int], port: int, own: int, closed: list[int]) -> Any:
    from twisted.internet import reactor

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        os.close(descriptor)

    return await connect_inside(reactor, descriptors, own, port, 5, close)


async def test_a_socket_of_another_network_is_connected() -> None:
    closed: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        fresh, more = socket.socket().detach(), socket.socket().detach()
        found = await reached([fresh, more], server.getsockname()[1], OTHER, closed)
        with found:
            assert found.getpeername() == server.getsockname()
    assert closed == [more]


async def test_its_close_waits_for_no_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as inside:
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 60))
        with await reached([os.dup(inside.fileno())], server.getsockname()[1], OTHER, []) as found:
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)[:4] == bytes(4)


async def test_the_second_is_tried_where_nothing_listens_for_the_first() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        sockets = [socket.socket().detach(), socket.socket(socket.AF_INET6).detach()]
        with await reached(sockets, server.getsockname()[1], OTHER, []) as found:
            assert found.family == socket.AF_INET6


def made(kind: str) -> int:
    if kind == "file":
        return os.open("/dev/null", os.O_RDWR)
    if kind == "unix":
        return socket.socket(socket.AF_UNIX).detach()
    if kind == "udp":
        return socket.socket(type=socket.SOCK_DGRAM).detach()
    return socket.socket().detach()


@pytest.mark.parametrize("kind", ["tcp of the host", "unix", "udp", "file"])
async def test_what_is_no_fresh_socket_of_the_sandbox_is_refused(kind: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = HOST if kind == "tcp of the host" else OTHER
        with pytest.raises(OSError, match=r"something else|non-socket"):
            await reached([made(kind)], server.getsockname()[1], own, [])
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()  # nothing came
    assert set(os.listdir("/proc/self/fd")) == before


async def test_one_that_is_connected_already_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        busy = socket.create_connection(elsewhere.getsockname()).detach()
        with pytest.raises(OSError, match="already connected"):
            await reached([busy], 9, OTHER, [])


async def test_no_socket_at_all_is_said() -> None:
    with pytest.raises(Unavailable):
        await reached([], 9, OTHER, [])
