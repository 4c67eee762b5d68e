"""What a proxy answers, read from a socket without a byte of what comes behind it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from clove.errors import Unavailable
from clove.proxies import MOST_ANSWER, Measure

__all__ = ["read_answer"]


async def read_answer(
    reactor: Any, connection: socket.socket, measure: Measure, timeout: float
) -> bytes:
    """The whole answer of a proxy, and nothing behind it: that is the other end's.

    @raise Unavailable: there is none, in so many seconds or of at most L{MOST_ANSWER} bytes.
    """
    answer = _Answer(reactor, connection, measure)
    answer.done.addTimeout(timeout, reactor)
    try:
        return await answer.done
    except DeferredTimeout:
        raise Unavailable(f"the proxy did not answer within {timeout:g} s") from None


@implementer(IReadDescriptor)
class _Answer:
    """Reads one, as it comes."""

    def __init__(self, reactor: Any, connection: socket.socket, measure: Measure) -> None:
        self._reactor = reactor
        self._socket = connection
        self._measure = measure
        self._held = b""
        self.done: Deferred[bytes] = Deferred(lambda _: self._stop())
        reactor.addReader(self)

    def fileno(self) -> int:
        """Part of IFileDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Part of ILoggingContext."""
        return "proxy"

    def _stop(self) -> None:
        self._reactor.removeReader(self)

    def _end(self, tell: Callable[..., None], value: object) -> None:
        self._stop()
        if not self.done.called:
            tell(value)

    def doRead(self) -> None:
        """Part of IReadDescriptor."""
        try:
            seen = self._socket.recv(MOST_ANSWER, socket.MSG_PEEK)
            whole = self._measure(self._held + seen)
            size = len(seen) if whole is None else whole - len(self._held)
            self._held += self._socket.recv(size) if seen else b""
        except BlockingIOError:
            return
        except OSError as error:
            self._end(self.done.errback, Unavailable(f"the proxy: {error.strerror or error}"))
            return
        if whole is not None and len(self._held) >= whole:
            self._end(self.done.callback, self._held)
        elif not seen or len(self._held) >= MOST_ANSWER:
            what = "closed the connection" if not seen else "sends a head without end"
            self._end(self.done.errback, Unavailable(f"the proxy {what}"))

    def connectionLost(self, reason: object) -> None:
        """Part of IFileDescriptor."""
        self._end(self.done.errback, Unavailable("the proxy closed the connection"))
