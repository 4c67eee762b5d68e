"""Connections to a port inside of a sandbox, by sockets that its init has made.

A socket stays in the network namespace in which it was made, so one of the sandbox's connects to the
sandbox's loopback, whatever process calls connect(2). Init has the agent's rights, and what it sends is
not believed: a socket of the host's own network would reach the services of the host.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from clove.errors import IsolationUnavailable, Unavailable
from clove.kernel.network.dialling import connect

__all__ = ["connect_inside", "require_cookies"]

SO_NETNS_COOKIE: Final = 71
"""socket(7): which network namespace a socket is in (Linux 5.14)."""
_COOKIE: Final = struct.Struct("=Q")
_CLOSE_AT_ONCE: Final = struct.pack("=ii", 0, 0)
"""A close that waits for its peer (socket(7), SO_LINGER) would hold up the kernel."""
LOOPBACK: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def _namespace_of(one: socket.socket) -> int:
    """A number that no other network namespace has.

    @raise OSError: this Linux does not tell it.
    """
    found = one.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, _COOKIE.size)
    return int(_COOKIE.unpack(found)[0])


def require_cookies() -> int:
    """The kernel's own network namespace.

    @raise IsolationUnavailable: this Linux cannot tell one from another.
    """
    with contextlib.closing(socket.socket()) as own:
        try:
            return _namespace_of(own)
        except OSError:
            raise IsolationUnavailable(
                "ports can be published from Linux 5.14 on (SO_NETNS_COOKIE)",
                hint="leave `publish` out",
            ) from None


def _taken(descriptor: int, own: int) -> socket.socket:
    """What came from inside, if it is a fresh TCP socket of a network that is not the kernel's.

    @raise OSError: it is something else; it is closed.
    """
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise
    try:
        fits = found.family in LOOPBACK and found.type == socket.SOCK_STREAM
        if not fits or found.proto != socket.IPPROTO_TCP or _namespace_of(found) == own:
            raise OSError(errno.EPROTO, "the sandbox sent something else than a socket of its own")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_AT_ONCE)
    except BaseException:
        found.close()
        raise
    return found


async def connect_inside(
    reactor: Any,
    descriptors: Sequence[int],
    own: int,
    port: int,
    timeout: float,
    close: Callable[[int], None],
) -> socket.socket:
    """Connect to a port of the loopback that the sockets see, by the first that reaches it.

    @param descriptors: from inside, taken over.
    @param own: the kernel's own network namespace.
    @param close: closes one that is not needed.
    @raise OSError: none reaches it. @raise Unavailable: there are none.
    """
    failure: Exception = Unavailable("the sandbox has sent no socket")
    left = list(descriptors)
    try:
        while left:
            try:
                one = _taken(left.pop(0), own)
            except OSError as error:
                failure = error
                continue
            try:
                await connect(reactor, one, (LOOPBACK[one.family], port), timeout)
            except OSError as error:
                failure = error
                one.close()
                continue
            except BaseException:
                one.close()
                raise
            return one
    finally:
        for descriptor in left:
            close(descriptor)
    raise failure
