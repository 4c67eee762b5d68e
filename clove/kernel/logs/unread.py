"""Output that went past the kernel unread: the latest of it waits in a pipe of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from collections import deque
from collections.abc import Iterator
from typing import Final

__all__ = ["ROOM", "Unread"]

ROOM: Final = 256 << 10
"""Bytes that the pipe has room for, where Linux allows it (fcntl(2), F_SETPIPE_SZ); else 64 KiB."""


class Unread:
    """Takes bytes out of other pipes without copying them, and drops the oldest without looking.

    @ivar size: bytes that wait here.
    @ivar dropped: bytes that were dropped since it was read last, all older than those.
    @raise OSError: there is no room for it.
    """

    def __init__(self) -> None:
        self.size = self.dropped = 0
        self._parts: deque[tuple[int, int]] = deque()  # streams and sizes, in order
        with contextlib.ExitStack() as undo:
            self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            undo.callback(os.close, self._writer)
            undo.callback(os.close, self._reader)
            self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            undo.pop_all()
        with contextlib.suppress(OSError):  # EPERM: the user has enough (pipe(7))
            fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, ROOM)
        self._room = fcntl.fcntl(self._writer, fcntl.F_GETPIPE_SZ)

    def move(self, stream: int, source: int, size: int) -> None:
        """Take bytes that are at the front of a pipe; fewer if something else has read them.

        @raise OSError: it is no pipe.
        """
        left = size
        while left:
            self._drop(min(left, self._room) - (self._room - self.size))
            try:
                moved = os.splice(source, self._writer, left, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                if not self.size or not _has_bytes(source):
                    return
                # Pages that are not full count as full ones: more must go than the bytes tell.
                self._drop(max(left, self.size // 2))
                continue
            if not moved:
                return
            left -= moved
            self._add(stream, moved)

    def _add(self, stream: int, size: int) -> None:
        self.size += size
        if self._parts and self._parts[-1][0] == stream:
            size += self._parts.pop()[1]
        self._parts.append((stream, size))

    def _drop(self, size: int) -> None:
        """Drop the oldest bytes: at least so many, or all."""
        size = min(size, self.size)
        while size > 0:
            gone = os.splice(self._reader, self._nowhere, size)
            size -= gone
            self.size -= gone
            self.dropped += gone
            while gone:
                stream, first = self._parts.popleft()
                if first > gone:
                    self._parts.appendleft((stream, first - gone))
                gone -= min(first, gone)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Take all that waits: streams and bytes, in order."""
        while self._parts:
            stream, size = self._parts.popleft()
            self.size -= size
            while size:
                data = os.read(self._reader, size)
                size -= len(data)
                yield stream, data

    def close(self) -> None:
        """Drop all. Not to be called twice."""
        for descriptor in (self._reader, self._writer, self._nowhere):
            os.close(descriptor)


def _has_bytes(source: int) -> bool:
    look = select.poll()
    look.register(source, select.POLLIN)
    return bool(look.poll(0))
