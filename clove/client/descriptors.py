"""Reading a socket, with the descriptors that the kernel may send. Standard library only."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

__all__ = ["SocketReader"]

_MOST = 4
"""Descriptors that come with one piece of bytes, at most."""


class SocketReader:
    """Reads bytes; the operating system discards descriptors (unix(7)) until they are asked for.

    @ivar receive: as recv(2) with a size and flags.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._descriptors: list[int] = []
        self.receive: Callable[[int, int], bytes] = end.recv

    def accept_descriptors(self) -> None:
        """Keep descriptors that come from now on, close-on-exec, until they are taken."""
        self.receive = self._receive_with

    def _receive_with(self, size: int, flags: int) -> bytes:
        flags |= socket.MSG_CMSG_CLOEXEC
        data, descriptors, _, _ = socket.recv_fds(self._socket, size, _MOST, flags)
        self._descriptors.extend(descriptors)
        return data

    def take(self, number: int) -> list[int]:
        """So many of them, in the order in which they came; fewer where they did not come."""
        taken, self._descriptors = self._descriptors[:number], self._descriptors[number:]
        return taken

    def close(self) -> None:
        """Close what was not taken."""
        while self._descriptors:
            os.close(self._descriptors.pop())
