"""The Deferred client, for programs that run on Twisted::

    async def main(reactor):
        async with DeferredClient(reactor) as client:
            print((await client.think("Say hello"))["content"])

Every method of L{clove.client.methods.table.Methods} is one of this class and gives a
Deferred of what the blocking client returns. Cancelling it cancels the call in
the kernel too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from clove.client.call import Call, StreamCall
from clove.client.deferred_connection import DeferredConnection
from clove.client.exchange import Closed
from clove.client.limits import ClientLimits
from clove.client.link import Link, Partial
from clove.client.methods import work
from clove.client.methods.table import Methods
from clove.client.socket_path import absolute, socket_paths
from clove.client.status import ConnectionStatus
from clove.errors import ConnectionLost, TimedOut

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

    from clove.client.results import EventPush, HelloReply

__all__ = ["DeferredClient"]

T = TypeVar("T")
S = TypeVar("S")


class DeferredClient(Methods, ConnectionStatus):
    """A connection to the kernel; it connects, and reconnects, by itself.

    @param path: default: $CLOVE_SOCKET, else the usual ones (`clove.socket_paths`).
    @param endpoint: instead of the Unix socket at `path`; its maker vouches for what answers there.
    @param timeout: seconds that the kernel has for an answer, besides what the
        call itself allows it; None: for ever.
    @param on_event: takes each event of `subscribe(..., push=True)`.
    @param on_events_lost: takes a L{ConnectionLost} when the connection on which events were asked for is lost,
        and not by `close`: none come before `subscribe` is called again.
    """

    _connection: DeferredConnection

    def __init__(
        self,
        reactor: IReactorTime,
        path: str | None = None,
        *,
        endpoint: IStreamClientEndpoint | None = None,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
        on_event: Callable[[EventPush], object] | None = None,
        on_events_lost: Callable[[ConnectionLost], object] | None = None,
    ) -> None:
        self.timeout = timeout
        self.limits = limits or ClientLimits()
        self.on_event = on_event
        self.on_events_lost = on_events_lost
        self._reactor = reactor
        self._connection = DeferredConnection(
            reactor,
            socket_paths(path),
            endpoint,
            self.limits,
            pushed=self._event,
            pushing_lost=self._events_lost,
            bounded=lambda greeting: self._within(greeting, 0.0),
        )

    # the connection

    def connect(self) -> Deferred[Self]:
        """Connect now, instead of when the first call is made.

        @raise ConnectionLost: no kernel listens there; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        """
        return self._within(self._connection.live_link().addCallback(lambda _: self), 0.0)

    def close(self) -> Deferred[None]:
        """Close the connection and give up the identity; fires when it is closed."""
        return self._connection.close()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def hello(self) -> Deferred[HelloReply]:
        """What the kernel said when we connected; empty if it has version 1 only."""
        return self._within(
            self._connection.live_link().addCallback(
                lambda link: cast("HelloReply", link.exchange.welcome)
            ),
            0.0,
        )

    # asking

    def ask(self, call: Call[T]) -> Deferred[T]:
        """Make a call.

        @return: Deferred of its result, or of the typed error (see
            L{clove.client.blocking.CloveClient.ask}).
        """
        return self._within(Deferred.fromCoroutine(self._ask(call, None)), call.patience)

    def stream(self, call: StreamCall[T, S], each: Callable[[S], object]) -> Deferred[T]:
        """Make a call with a reply in pieces; `each` is called with them as they come."""
        parts = 0

        def partial(payload: bytes) -> None:
            nonlocal parts
            parts += 1
            for piece in call.pieces(call.decoded(payload)):
                each(piece)

        async def run() -> T:
            _, payload = await self._ask_bytes(call, partial)
            reply = call.decoded(payload)
            if not parts:
                for piece in call.rest(reply):
                    each(piece)
            return call.pick(reply)

        return self._within(Deferred.fromCoroutine(run()), call.patience)

    def _streamed(
        self,
        build: Callable[..., StreamCall[T, S]],
        each: Callable[[S], object],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> Deferred[T]:
        return self.stream(build(*args, **kwargs), each)

    def exit(self) -> Deferred[str]:
        """Say goodbye and close; name, mailbox and keys of an unspawned client end."""

        async def leave() -> str:
            try:
                return await self.ask(work.exit())
            finally:
                await self.close()

        return Deferred.fromCoroutine(leave())

    # within

    def _within(self, deferred: Deferred[T], patience: float | None) -> Deferred[T]:
        """Put the client's time-out on a Deferred."""
        if self.timeout is None or patience is None:
            return deferred
        seconds = self.timeout + patience

        def late(result: object, _: float) -> Any:
            if isinstance(result, Failure) and isinstance(result.value, CancelledError):
                raise TimedOut(f"the kernel did not answer within {seconds:g} s")
            return result

        return deferred.addTimeout(seconds, self._reactor, onTimeoutCancel=late)

    async def _ask(self, call: Call[T], partial: Partial | None) -> T:
        link, payload = await self._ask_bytes(call, partial)
        result = call.result(payload)
        if call.subscribes:
            self._connection.pushes_on(link)
        return result

    async def _ask_bytes(self, call: Call[Any], partial: Partial | None) -> tuple[Link, bytes]:
        body = call.body(self.limits.max_payload, absolute)
        link = await self._connection.live_link()
        try:
            return link, await link.request(call.opcode, body, partial)
        except ConnectionLost as error:
            if not call.idempotent or isinstance(error, Closed):
                raise
        link = await self._connection.live_link()
        return link, await link.request(call.opcode, body, partial)

    def _event(self, payload: bytes) -> None:
        if self.on_event is not None:
            self.on_event(cast("EventPush", Call(0).decoded(payload)))

    def _events_lost(self, reason: ConnectionLost) -> None:
        if self.on_events_lost is not None:
            self.on_events_lost(reason)
