"""Bodies, both ways: sent from memory, received up to a limit and decompressed."""

from __future__ import annotations

import base64
import codecs
import zlib
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from clove.errors import Unavailable

__all__ = ["Collector", "Sender", "as_text"]


@implementer(IBodyProducer)
class Sender:
    """A request's body, written at once (it came in one frame, so it is small)."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Part of IBodyProducer."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Part of IBodyProducer; it is all written already."""

    def resumeProducing(self) -> None:
        """Part of IBodyProducer; it is all written already."""

    def stopProducing(self) -> None:
        """Part of IBodyProducer; it is all written already."""


class Collector(Protocol):
    """Keeps a response's body up to a limit.

    @ivar done: fires with (body, truncated), at the end or when the limit is reached.
    """

    def __init__(self, limit: int, encoding: str) -> None:
        self._limit = limit
        self._body = bytearray()
        self._zlib = _decompressor(encoding)
        self.done: Deferred[tuple[bytes, bool]] = Deferred(lambda _: None)

    def dataReceived(self, data: bytes) -> None:
        """Take some of it. Never decompresses more than there is room for."""
        if self.done.called:
            return
        room = self._limit - len(self._body)
        if self._zlib is None:
            self._body += data[:room]
            full = len(data) > room
        else:
            try:
                self._body += self._zlib.decompress(data, room + 1)
            except zlib.error:
                self.done.errback(Unavailable("the server's compressed body is broken"))
                return
            full = len(self._body) > self._limit
            del self._body[self._limit :]
        if full:
            self.done.callback((bytes(self._body), True))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body."""
        if self.done.called:
            return
        if not reason.check(ResponseDone, PotentialDataLoss):
            self.done.errback(Unavailable("the connection broke off within the body"))
        elif self._zlib is not None and self._body and not self._zlib.eof:
            self.done.errback(Unavailable("the server's compressed body is cut off"))
        else:
            self.done.callback((bytes(self._body), False))


def _decompressor(encoding: str) -> Any:
    """For gzip; None for a body to be taken as it is.

    @raise Unavailable: an encoding that we did not ask for.
    """
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    raise Unavailable(f"the server sends an encoding that was not asked for: {encoding[:40]!r}")


def as_text(body: bytes, truncated: bool) -> tuple[str, str]:
    """A body for JSON, and its encoding: `utf-8`, else `base64`.

    A character that truncation cut in two is left out.
    """
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=not truncated), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"
