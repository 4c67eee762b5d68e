"""Streams that the kernel reads and writes for a caller that gets no descriptors: one that comes through a relay.

It asks for what is there (OUTPUT with `command`), and is answered when what it sends was taken (INPUT with
`command`). Nothing is read before it is asked for, so a caller that does not ask holds up its own command or
connection, and nothing waits here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as NotInTime
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.queued_writer import QueuedWriter

__all__ = ["Piece", "RelayedStreams"]

CHUNK: Final = 64 << 10
"""Bytes read at once."""
_UNREAD: Final = "nothing reads this input any more"


class Piece(NamedTuple):
    """Bytes of one stream (1: stdout, 2: stderr)."""

    stream: int
    data: bytes


@implementer(IReadDescriptor)
class _Source:
    """One end that is read, while that is waited for."""

    def __init__(self, reactor: Any, descriptor: int, ready: Callable[[], None]) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._ready = ready
        self.ended = False
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "relayed output"

    def wait(self, waited: bool) -> None:
        """Have the reactor tell of what can be read, or no longer."""
        if self._descriptor < 0:
            return
        (self._reactor.addReader if waited else self._reactor.removeReader)(self)

    def doRead(self) -> None:
        """Something can be read, or it has ended."""
        self._ready()

    def connectionLost(self, reason: object) -> None:
        """The reactor says that the other end is gone: what it wrote is there still."""
        self._ready()

    def read(self, most: int) -> bytes:
        """What is there; b"" for nothing, and then `ended` says whether more can come."""
        if self.ended:
            return b""
        try:
            data = os.read(self._descriptor, min(most, CHUNK))
        except BlockingIOError:
            return b""
        except OSError:  # reset by the other side
            data = b""
        self.ended = not data
        return data

    def close(self) -> None:
        """Read no more. Idempotent."""
        self.ended = True
        if self._descriptor >= 0:
            self.wait(False)
            os.close(self._descriptor)
            self._descriptor = -1


class RelayedStreams:
    """Of one command or connection, for one caller.

    @param sources: descriptors to be read, by stream; taken over.
    @param target: a descriptor to be written; taken over. None: there is no input.
    @param finish: see L{QueuedWriter<clove.kernel.queued_writer.QueuedWriter>}.
    @ivar owner: id of the caller.
    @ivar last: when bytes were last read or written, by the reactor's clock.
    """

    def __init__(
        self,
        reactor: Any,
        owner: int,
        sources: Mapping[int, int],
        target: int | None,
        finish: Callable[[int], object] | None = None,
    ) -> None:
        self.owner = owner
        self.last: float = reactor.seconds()
        self._reactor = reactor
        self._sources = {
            stream: _Source(reactor, descriptor, self._ready)
            for stream, descriptor in sources.items()
        }
        self._target = (
            None
            if target is None
            else QueuedWriter(reactor, target, "relayed input", _UNREAD, finish)
        )
        self._reader: Deferred[None] | None = None
        self._told: Deferred[None] | None = None

    @property
    def is_drained(self) -> bool:
        """All that is read has ended, and was read."""
        return all(source.ended for source in self._sources.values())

    @property
    def is_over(self) -> bool:
        """Nothing more is read or written."""
        return self.is_drained and (self._target is None or self._target.fileno() < 0)

    @property
    def is_half_over(self) -> bool:
        """One side has sent all."""
        return self.is_drained or (self._target is not None and self._target.fileno() < 0)

    def tell_end(self, told: Deferred[None]) -> None:
        """Fire it when another of these streams has ended; an earlier one is forgotten."""
        self._told = told

    async def wait_drained(self) -> None:
        """Wait until L{is_drained}."""
        while not self.is_drained:
            told: Deferred[None] = Deferred()
            self.tell_end(told)
            await told

    async def read(self, most: int, seconds: float) -> tuple[list[Piece], bool]:
        """What is there; waits for the first byte. And whether that was all.

        @raise InvalidRequest: another request reads already.
        """
        if self._reader is not None:
            raise InvalidRequest("these streams are being read already", hint="one at a time")
        pieces = self._read(most)
        if not pieces and seconds and not self.is_drained:
            await self._wait(seconds)
            pieces = self._read(most)
        if self.is_drained:
            self._tell()
        return pieces, self.is_drained

    def _read(self, most: int) -> list[Piece]:
        pieces = []
        for stream, source in self._sources.items():
            while most > 0 and (data := source.read(most)):
                pieces.append(Piece(stream, data))
                most -= len(data)
        if pieces:
            self.last = self._reactor.seconds()
        return pieces

    async def _wait(self, seconds: float) -> None:
        self._reader = Deferred()
        waited = [source for source in self._sources.values() if not source.ended]
        for source in waited:
            source.wait(True)
        self._reader.addTimeout(seconds, self._reactor)
        try:
            with contextlib.suppress(NotInTime):
                await self._reader
        finally:
            self._reader = None
            for source in waited:
                source.wait(False)

    def _ready(self) -> None:
        if self._reader is not None and not self._reader.called:
            self._reader.callback(None)

    async def write(self, data: bytes) -> None:
        """Write; until all is taken.

        @raise Unavailable: nothing reads it.
        """
        if self._target is None:
            raise Unavailable("it has no standard input", hint='RUN it with `stdin` "stream"')
        if data:
            await self._target.write(data)
            self.last = self._reactor.seconds()

    def close_stream(self, stream: int) -> None:
        """Close one of them; 0 is the input. Idempotent."""
        if stream == 0 and self._target is not None:
            self._target.end(_UNREAD)
        elif stream in self._sources:
            self._sources[stream].close()
            self._ready()
        self._tell()

    def _tell(self) -> None:
        told, self._told = self._told, None
        if told is not None and not told.called:
            told.callback(None)

    def close(self) -> None:
        """Close all. Idempotent."""
        for stream in (0, *self._sources):
            self.close_stream(stream)
