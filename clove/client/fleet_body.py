"""The body of a reply that is read at the reader's pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from clove.errors import ConnectionLost

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["Body"]

_MOST: Final = 1 << 18
"""Bytes that wait for the reader; then the connection is not read."""
_WHOLE: Final = (ResponseDone, PotentialDataLoss, ConnectionDone)


class Body(Protocol):
    """Takes what comes, and holds it for one reader."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._reader: Deferred[None] | None = None
        self._paused = False
        self._ended: ConnectionLost | None = None
        self._over = False
        self._closed = False

    async def read(self) -> bytes:
        """Some bytes, one or more; none at the end.

        @raise ConnectionLost: it was cut.
        """
        if not self._held and not self._over:
            self._reader = Deferred()
            await self._reader
        if not self._held and self._ended is not None:
            raise self._ended
        some = bytes(self._held)
        self._held.clear()
        self._resume()
        return some

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._over or self._closed or self.transport is None:
            return
        self._closed = True
        self._held.clear()
        self._resume()  # TLS says goodbye, and has to hear the relay's
        self._producer.loseConnection()

    @property
    def _producer(self) -> Any:
        return cast("Any", self.transport)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._producer.resumeProducing()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.called:
            reader.callback(None)

    # as the protocol of a response

    def dataReceived(self, data: bytes) -> None:
        """Bytes come."""
        if self._closed:
            return
        self._held += data
        if len(self._held) > _MOST and not self._paused:
            self._paused = True
            self._producer.pauseProducing()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """No more will."""
        self._over = True
        self._paused = False
        if not reason.check(*_WHOLE):
            said = reason.getErrorMessage()
            self._ended = ConnectionLost(f"the connection to the relay was cut: {said}")
        self._wake()
