"""The asyncio client's end of one connection: an asyncio protocol over `exchange`.

Back-pressure goes both ways. A request waits while what was written before is not taken by the
kernel. Nothing is read while the pieces of streams that came are not taken and no task waits for
anything: then the kernel waits. As soon as one task waits, all that comes is read, since its reply may
be behind the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import cast

from clove.client.exchange import Closed, Exchange, Unsent, lost_in_flight, lost_unsent
from clove.client.limits import ClientLimits
from clove.client.methods import work
from clove.client.waiters import Waiter, Waiters
from clove.errors import CloveError, ConnectionLost
from clove.framing import BadFrame

__all__ = ["AioLink", "Turn"]

_AHEAD = 4
"""The part of `stream_bytes` that is read ahead while no task waits."""
_FLUSH = 1.0
"""Seconds that a closed connection has to send what was written."""


class Turn:
    """Tasks that wait for the same thing.

    @param waiting: the futures of all tasks that wait on this connection.
    """

    __slots__ = ("_ours", "_waiting")

    def __init__(self, waiting: set[asyncio.Future[None]]) -> None:
        self._ours: set[asyncio.Future[None]] = set()
        self._waiting = waiting

    def notify_all(self) -> None:
        """Wake them."""
        for future in self._ours:
            if not future.done():
                future.set_result(None)
        self._waiting -= self._ours
        self._ours.clear()

    async def wait(self) -> None:
        """Wait until they are woken, or all that wait on this connection are."""
        future = asyncio.get_running_loop().create_future()
        self._ours.add(future)
        self._waiting.add(future)
        try:
            await future
        finally:
            self._ours.discard(future)
            self._waiting.discard(future)


class AioLink(asyncio.Protocol):
    """One connection to the kernel.

    @param connection: connected, and not blocking.
    @ivar lost: why the connection is gone, or None while it lives.
    @ivar loop: the event loop that it belongs to.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: socket.socket, limits: ClientLimits
    ) -> None:
        self.loop = loop
        self.exchange = Exchange(limits.max_reply)
        self.lost: CloveError | None = None
        self._socket = connection
        self._limits = limits
        self._waiters: Waiters[Turn] = Waiters(limits)
        self._waiting: set[asyncio.Future[None]] = set()
        self._room = Turn(self._waiting)
        self._gone = Turn(self._waiting)
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._unsent = 0
        self._reading = True

    @property
    def pushes(self) -> Waiter[Turn]:
        """Receives the frames that answer no request."""
        return self._waiters.pushes

    # requests

    async def greet(self, token: str) -> bytes:
        """Say HELLO and give its answer's payload.

        A kernel that refuses us may have said so and closed before we spoke: then its reply is
        still there to be read. So this is written past the transport, which would end at once.
        """
        number, frame = self.exchange.hello(token)
        waiter = self._waiters.add(number)
        with contextlib.suppress(OSError):
            self._socket.send(frame, socket.MSG_NOSIGNAL)
        await self.loop.create_unix_connection(lambda: self, sock=self._socket)
        return (await self.next_frame(waiter))[0]

    async def start(self, opcode: int, body: bytes) -> Waiter[Turn]:
        """Send a request.

        @raise Unsent, Closed: the connection was lost before the request was out.
        @raise LimitExceeded: too many calls are in flight.
        """
        self._waiters.require_room(self._unsent)
        self._unsent += 1
        try:
            while self._full and self.lost is None:
                await self._wait(self._room)
        finally:
            self._unsent -= 1
        if self.lost is not None:
            raise lost_unsent(self.lost)
        number, frame = self.exchange.request(opcode, body)
        waiter = self._waiters.add(number)
        if not self._write(frame):
            raise Unsent("the connection to the kernel is lost")
        return waiter

    async def next_frame(self, waiter: Waiter[Turn]) -> tuple[bytes, bool]:
        """The next frame for a waiter: its payload, and whether more follow.

        @raise ConnectionLost: no reply will come any more.
        @raise LimitExceeded: the stream was not taken as fast as it came.
        """
        while not waiter.frames:
            if waiter.error is not None:
                raise waiter.error
            if self.lost is not None:
                raise lost_in_flight(self.lost)
            if waiter.turn is None:
                waiter.turn = Turn(self._waiting)
            await self._wait(waiter.turn)
        return waiter.next_frame()

    def abandon(self, waiter: Waiter[Turn]) -> None:
        """Wait no longer for a reply, and tell the kernel."""
        if self._waiters.remove(waiter.number) and self.lost is None:
            self._write(self.exchange.cancel(waiter.number))

    def orphan(self, waiter: Waiter[Turn]) -> None:
        """Abandon a waiter soon. For finalizers, which may run in another thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and so is the connection
            self.loop.call_soon_threadsafe(self.abandon, waiter)

    # the end

    def drop(self, reason: CloveError) -> None:
        """End the connection at once; every task that waits gets ConnectionLost."""
        self._fail(reason)
        if self._transport is not None:
            self._transport.abort()
        else:
            self._socket.close()

    async def close(self) -> None:
        """Say EXIT, so that the kernel does not keep our belongings for a minute, and end."""
        transport = self._transport
        if self.lost is not None or transport is None:
            return
        self._write(self.exchange.request(work.exit().opcode, b"")[1])
        self._fail(Closed())
        transport.close()
        try:
            async with asyncio.timeout(_FLUSH):
                await self._gone.wait()
        except TimeoutError:
            return
        finally:
            transport.abort()

    def disown(self) -> None:
        """Close this process's copy of the socket; the loop, or another process, had the connection."""
        self._fail(ConnectionLost("this connection belongs to another process or event loop"))
        self._socket.close()

    # asyncio's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: bytes can be sent."""
        self._transport = cast("asyncio.Transport", transport)
        if self.lost is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio's: bytes arrived."""
        waiters = self._waiters
        try:
            for number, more, payload in self.exchange.feed(data):
                waiters.deliver(number, more, payload)
        except BadFrame as error:
            self.drop(ConnectionLost(f"the kernel's reply makes no sense: {error.message}"))
            return
        while waiters.orphans:
            self.abandon(waiters.orphans.popleft())
        if self._waiting or self._transport is None or not self._reading:
            return
        if waiters.held * _AHEAD > self._limits.stream_bytes:
            self._reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """asyncio's: the kernel does not take what is written."""
        self._full = True

    def resume_writing(self) -> None:
        """asyncio's: it does again."""
        self._full = False
        self._room.notify_all()

    def eof_received(self) -> bool:
        """asyncio's: the kernel sends nothing any more."""
        self.drop(ConnectionLost("the kernel closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: the connection is over; no request will be answered."""
        why = f": {exc}" if exc else ""
        self._fail(ConnectionLost(f"the kernel closed the connection{why}"))
        self._gone.notify_all()

    # within

    async def _wait(self, turn: Turn) -> None:
        """Wait until something is notified, and read meanwhile."""
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        await turn.wait()

    def _write(self, frame: bytes) -> bool:
        """Send, or keep what the kernel does not take; False if the connection proved lost."""
        transport = self._transport
        assert transport is not None, "nothing is written before the greeting"
        transport.write(frame)
        if transport.is_closing() and self.lost is None:
            self._fail(Unsent("the connection to the kernel is lost"))
        return self.lost is None

    def _fail(self, error: CloveError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        self._waiters.clear()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
