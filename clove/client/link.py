"""The Deferred client's end of one connection: a Twisted protocol over `exchange`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger

from clove.client.exchange import PUSH, Closed, Exchange, lost_in_flight
from clove.client.limits import ClientLimits
from clove.errors import CloveError, ConnectionLost, LimitExceeded
from clove.framing import BadFrame

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["Link", "Partial"]

Partial = Callable[[bytes], None]
"""Takes the payload of a reply that further ones will follow."""

_log = Logger()


class _Request:
    """One request in flight."""

    __slots__ = ("done", "partial")

    def __init__(self, done: Deferred[bytes], partial: Partial | None) -> None:
        self.done = done
        self.partial = partial


class Link(Protocol):
    """One connection to the kernel.

    @param pushed: takes the payload of frames that answer no request.
    @ivar gone: fires with None when the connection is over.
    @ivar alive: requests can be made.
    @ivar reason: why it is over, once it is.
    """

    def __init__(self, limits: ClientLimits, pushed: Partial) -> None:
        self.exchange = Exchange(limits.max_reply)
        self.alive = False
        self.gone: Deferred[None] = Deferred()
        self._limits = limits
        self._pushed = pushed
        self._requests: dict[int, _Request] = {}
        self.reason: CloveError = ConnectionLost("the kernel closed the connection")

    def connectionMade(self) -> None:
        """Twisted's: the socket is connected."""
        self.alive = True

    def greet(self, token: str) -> Deferred[bytes]:
        """Say HELLO; fires with its answer's payload."""
        number, frame = self.exchange.hello(token)
        return self._sent(number, frame, None)

    def request(self, opcode: int, body: bytes, partial: Partial | None = None) -> Deferred[bytes]:
        """Send a request; fires with the payload of its last reply.

        Cancelling it sends CANCEL. It fails with ConnectionLost when the
        connection goes first.

        @raise LimitExceeded: too many calls are in flight.
        """
        if len(self._requests) >= self._limits.outstanding:
            raise LimitExceeded(
                f"{self._limits.outstanding} calls are in flight on this connection",
                hint="wait for their results, or use another client",
            )
        number, frame = self.exchange.request(opcode, body)
        return self._sent(number, frame, partial)

    def _sent(self, number: int, frame: bytes, partial: Partial | None) -> Deferred[bytes]:
        done: Deferred[bytes] = Deferred(lambda _: self._abandon(number))
        self._requests[number] = _Request(done, partial)
        cast("Any", self.transport).write(frame)
        return done

    def _abandon(self, number: int) -> None:
        if self._requests.pop(number, None) is not None and self.alive:
            cast("Any", self.transport).write(self.exchange.cancel(number))

    def dataReceived(self, data: bytes) -> None:
        """Twisted's: bytes arrived."""
        try:
            arrivals = self.exchange.feed(data)
        except BadFrame as error:
            self.drop(ConnectionLost(f"the kernel's reply makes no sense: {error.message}"))
            return
        for number, more, payload in arrivals:
            if number == PUSH:
                self._call(self._pushed, payload)
                continue
            request = self._requests.get(number)
            if request is None:
                continue
            if not more:
                del self._requests[number]
                request.done.callback(payload)
            elif request.partial is not None:
                self._call(request.partial, payload)

    def _call(self, function: Partial, payload: bytes) -> None:
        """Call the user's code; what it raises is its own affair."""
        try:
            function(payload)
        except Exception:
            _log.failure("a callback of the client failed")

    def close(self) -> None:
        """End the connection when all is sent."""
        self.reason = Closed()
        self.alive = False
        cast("Any", self.transport).loseConnection()

    def drop(self, reason: CloveError) -> None:
        """End the connection at once."""
        self.reason = reason
        self.alive = False
        cast("Any", self.transport).abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted's: the connection is over; no request will be answered."""
        self.alive = False
        requests, self._requests = self._requests, {}
        for one in requests.values():
            one.done.errback(lost_in_flight(self.reason))
        self.gone.callback(None)
