"""A descriptor that is written as it takes bytes, for callers that wait until theirs are taken."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

from clove.errors import Unavailable

__all__ = ["QueuedWriter"]

PIECE: Final = 64 << 10
"""Bytes written at once."""


class _Write:
    """Bytes of one request, and what waits for them to be taken."""

    def __init__(self, data: bytes, taken: Deferred[None]) -> None:
        self.left = memoryview(data)
        self.taken = taken


@implementer(IWriteDescriptor)
class QueuedWriter:
    """A pipe or a socket.

    @param descriptor: its end, which is taken over.
    @param name: for the reactor's log.
    @param unread: why nothing can be written when the other end is closed.
    @param finish: says the end to the other side, before the descriptor is closed.
    """

    def __init__(
        self,
        reactor: Any,
        descriptor: int,
        name: str,
        unread: str,
        finish: Callable[[int], object] | None = None,
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._name = name
        self._unread = self._reason = unread
        self._finish = finish
        self._waiting: deque[_Write] = deque()
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return self._name

    def check_open(self) -> None:
        """@raise Unavailable: nothing can be written any more."""
        if self._descriptor < 0:
            raise Unavailable(self._reason)

    def write(self, data: bytes) -> Deferred[None]:
        """Fires when all is taken, in the order of the calls; cancelled, what is not taken is dropped.

        @raise Unavailable: nothing can be written any more.
        """
        self.check_open()
        one: _Write

        def forget(_: object) -> None:
            self._waiting.remove(one)

        one = _Write(data, Deferred(forget))
        self._waiting.append(one)
        if len(self._waiting) == 1:
            self._reactor.addWriter(self)
        return one.taken

    def doWrite(self) -> None:
        """Write what is taken."""
        try:
            while self._waiting:
                first = self._waiting[0]
                while first.left:
                    first.left = first.left[os.write(self._descriptor, first.left[:PIECE]) :]
                self._waiting.popleft()
                first.taken.callback(None)
        except BlockingIOError:
            return
        except OSError:
            self.end(self._unread)
            return
        self._reactor.removeWriter(self)

    def connectionLost(self, reason: object) -> None:
        """The reactor says that nothing reads it any more."""
        self.end(self._unread)

    def end(self, reason: str) -> None:
        """Write no more; what waits is not taken. Idempotent.

        @param reason: what those are told that wait, or write later.
        """
        if self._descriptor < 0:
            return
        self._reason = reason
        self._reactor.removeWriter(self)
        if self._finish is not None:
            self._finish(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        while self._waiting:
            self._waiting.popleft().taken.errback(Unavailable(reason))
