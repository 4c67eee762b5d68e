"""The asyncio client: standard library only, for programs that run on asyncio::

    async def main():
        async with AsyncClient() as client:
            print((await client.think("Say hello"))["content"])
            async for text in client.think_stream("Say more"):
                print(text, end="")

    asyncio.run(main())

Every method of L{clove.client.methods.table.Methods} is one of this class and is a coroutine
function that gives what the blocking client returns. Any number of tasks may share a
client: their calls share its connection and do not wait for each other. Cancelling a task that
waits for a call (by `asyncio.timeout` or the end of a `TaskGroup`, say) cancels the call in
the kernel too.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from clove.client.aio_connection import AioConnection
from clove.client.aio_link import AioLink
from clove.client.aio_output import AsyncOutput
from clove.client.aio_stream import AsyncStream, Started, deadline_in, until
from clove.client.call import Call, StreamCall
from clove.client.exchange import Closed, Unsent
from clove.client.limits import ClientLimits
from clove.client.methods import streams, work
from clove.client.methods.table import Methods
from clove.client.socket_path import absolute, socket_paths
from clove.client.status import ConnectionStatus
from clove.errors import ConnectionLost, InvalidRequest, TimedOut

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from clove.client.results import EventPush, HelloReply, OutputReply

__all__ = ["AsyncClient", "AsyncOutput", "AsyncStream"]

_WAIT = 20.0
"""Seconds for which the kernel is asked to wait for output, again and again."""

T = TypeVar("T")
S = TypeVar("S")


class AsyncClient(Methods, ConnectionStatus):
    """A connection to the kernel; it connects, and reconnects, by itself.

    @param socket_path: default: $CLOVE_SOCKET, else the usual ones (`clove.socket_paths`).
    @param timeout: seconds that the kernel has for an answer, besides what the
        call itself allows it (the time-out of a command, say); None: for ever.
        A call that timed out is cancelled and raises TimedOut; the connection
        stays usable.
    """

    _connection: AioConnection

    def __init__(
        self,
        socket_path: str | None = None,
        *,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
    ) -> None:
        self.timeout = timeout
        self.limits = limits or ClientLimits()
        self._connection = AioConnection(socket_paths(socket_path), self.limits)

    # the connection

    async def connect(self) -> Self:
        """Connect now, instead of when the first call is made.

        @raise ConnectionLost: no kernel listens there; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        """
        await self._live_link()
        return self

    async def close(self) -> None:
        """Close the connection and give up the identity. Harmless when repeated."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def hello(self) -> HelloReply:
        """What the kernel said when we connected: kernel_version, features, agent_id.

        Empty if it has version 1 only.
        """
        return cast("HelloReply", (await self._live_link()).exchange.welcome)

    # asking

    async def ask(self, call: Call[T]) -> T:
        """Make a call and wait for its result.

        @raise TimedOut: it took longer than it may; it was cancelled.
        @raise ConnectionLost: the connection was lost meanwhile; whether the
            kernel served it is not known. Idempotent calls are repeated once.
        @raise CloveError: what the kernel answered.
        """
        body = call.body(self.limits.max_payload, absolute)
        async with until(deadline_in(self._seconds(call.patience))):
            try:
                return await self._round(await self._live_link(), call, body)
            except Unsent:
                pass
            except ConnectionLost as error:
                if not call.idempotent or isinstance(error, Closed):
                    raise
            return await self._round(await self._live_link(), call, body)

    def stream(self, call: StreamCall[T, S]) -> AsyncStream[T, S]:
        """Make a call with a reply in pieces, when the first is asked for."""
        return AsyncStream(call, self._start, self._seconds(call.patience))

    def attach(self, name: str | int | None = None, *, agent_id: int | None = None) -> AsyncOutput:
        """Attach to an agent: all that it writes, as bytes, when the iteration begins.

        @raise AlreadyExists: (by the iteration) another is attached.
        @raise ConnectionLost: what came after that is lost.
        """

        async def read(link: AioLink, agent: int, since: int) -> OutputReply:
            call = streams.read_output(agent, since=since, wait=_WAIT, attached=True)
            body = call.body(self.limits.max_payload)
            async with until(deadline_in(self._seconds(call.patience))):
                return await self._round(link, call, body)

        return AsyncOutput(self.hold_output(name, agent_id=agent_id), read)

    async def events(self) -> AsyncIterator[EventPush]:
        """The events of `subscribe(..., push=True)`, as they come and without end.

        Leaving the iteration leaves the subscription: what comes meanwhile is kept for the
        next, up to `ClientLimits.events`.

        @return: {type, data, source_agent_id, timestamp, age_ms} each.
        @raise ConnectionLost: the connection that was subscribed on is lost, though others may have been
            made since. It is said once: subscribe again after it.
        @raise InvalidRequest: the kernel has version 1 of the protocol.
        """
        link = await self._pushing_link()
        while True:
            yield await self._next_event(link)

    async def next_event(self, timeout: float | None = None) -> EventPush | None:
        """The next event of `subscribe(..., push=True)`.

        @param timeout: seconds; None: as long as it takes.
        @return: as L{events} has them, or None if none came in time.
        @raise ConnectionLost, InvalidRequest: as L{events}.
        """
        link = await self._pushing_link()
        if timeout is not None and timeout <= 0 and not (link.pushes.frames or link.lost):
            return None
        try:
            async with until(deadline_in(timeout)):
                return await self._next_event(link)
        except TimedOut:
            return None

    @property
    def dropped_events(self) -> int:
        """Pushed events that were dropped on this connection, because they were not read."""
        link = self._connection.pushing or self._connection.link
        return 0 if link is None else link.pushes.dropped

    async def exit(self) -> str:
        """Say goodbye and close; name, mailbox and keys of an unspawned client end."""
        try:
            return await self.ask(work.exit())
        finally:
            await self.close()

    # within

    def _seconds(self, patience: float | None) -> float | None:
        """Seconds that a call may take."""
        return None if self.timeout is None or patience is None else patience + self.timeout

    async def _live_link(self) -> AioLink:
        """The live link; a call may last for ever, but to connect for it may not."""
        async with until(deadline_in(self.timeout)):
            return await self._connection.live_link()

    async def _pushing_link(self) -> AioLink:
        """Where events come, if they can be pushed there."""
        async with until(deadline_in(self.timeout)):
            link = await self._connection.pushing_link()
        if link.exchange.version < 2:
            raise InvalidRequest(
                "this kernel has version 1 of the protocol, which pushes no events",
                hint="subscribe without push, and use poll_events",
            )
        return link

    async def _next_event(self, link: AioLink) -> EventPush:
        try:
            payload, _ = await link.next_frame(link.pushes)
        except ConnectionLost:
            if self._connection.pushing is link:
                self._connection.pushing = None
            raise
        return cast("EventPush", Call(0).decoded(payload))

    async def _round(self, link: AioLink, call: Call[T], body: bytes) -> T:
        """Send once, wait once."""
        waiter = await link.start(call.opcode, body)
        try:
            payload, _ = await link.next_frame(waiter)
        except BaseException:
            link.abandon(waiter)
            raise
        result = call.result(payload)
        if call.subscribes:
            self._connection.pushing = link
        return result

    async def _start(self, call: StreamCall[Any, Any]) -> Started:
        """Send the request of a stream."""
        body = call.body(self.limits.max_payload, absolute)
        for _ in range(2):
            link = await self._live_link()
            with contextlib.suppress(Unsent):
                return link, await link.start(call.opcode, body)
        raise ConnectionLost("the connection to the kernel was lost twice")
