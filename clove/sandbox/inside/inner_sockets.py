"""Sockets of the sandbox's network, with which the kernel connects to published ports.

A socket belongs to the network namespace in which it was made, whatever process has it. So init
makes them, not connected to anything, and the kernel does the rest (`docs/egress.md`).
"""

from __future__ import annotations

import _socket

__all__ = ["tcp_sockets"]


def tcp_sockets() -> list[int]:
    """Descriptors of a socket for IPv4, and of one for IPv6 where there is that.

    @raise OSError: there is no room for them.
    """
    found: list[int] = []
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            found.append(_socket.socket(family, _socket.SOCK_STREAM).detach())
        except OSError:
            if not found:  # no IPv6 is no hindrance
                raise
    return found
