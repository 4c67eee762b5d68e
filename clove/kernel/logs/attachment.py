"""The one who is attached to an agent's output, and loses none of it.

An L{Attachment} has its bytes kept in the spool until it has taken them. A L{PipeAttachment} has
them written into pipes of its own, whose other ends it holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

if TYPE_CHECKING:
    from clove.kernel.logs.pump import Pump

__all__ = ["LEFT_BEHIND", "Attachment", "PipeAttachment"]

PIPE_BYTES = 256 << 10
"""Bytes that a pipe has room for, where Linux allows it (fcntl(2), F_SETPIPE_SZ); else 64 KiB."""
LEFT_BEHIND = 2 << 20
"""Bytes that wait for one who does not read, beyond what is held else: of processes that were started
one after the other, each may have left something in its pipes. More is left out."""
MOST_PIECES = 8192
"""Likewise of a pipe, however short they are."""
STREAMS = {1: "stdout", 2: "stderr"}


class Attachment:
    """One who asks for the bytes.

    @ivar over: fires when the agent has ended and all is taken.
    @ivar start: offset of the first byte that it gets.
    @ivar descriptors: what is to be handed over: the name of a stream, and a descriptor of the
        attachment's own; see L{close_descriptors}.
    @param holder: what it belongs to; nothing else takes its bytes. None: it is yet to come.
    """

    def __init__(self, holder: object | None) -> None:
        self.holder = holder
        self.start = 0
        self.descriptors: list[tuple[str, int]] = []
        self.over: Deferred[None] = Deferred()

    def close_descriptors(self) -> None:
        """They are handed over. Idempotent."""
        while self.descriptors:
            os.close(self.descriptors.pop()[1])

    def write(self, stream: int, data: bytes) -> None:
        """The spool keeps them."""

    def backlog(self, stream: int) -> int:
        """Bytes of a stream that wait elsewhere than in the spool."""
        return 0

    def finish(self) -> None:
        """No more will come; what is not taken is in the spool."""

    def close(self) -> None:
        """It takes no more."""

    def complete(self) -> None:
        """All is taken."""
        if not self.over.called:
            self.over.callback(None)


@implementer(IWriteDescriptor)
class _Sink:
    """The writing end of one pipe, on the reactor; it never blocks.

    @param changed: called when it has taken what waited, and when it is closed.
    @ivar reader: the other end, to be handed over and closed by the caller.
    @ivar waiting: bytes that the pipe had no room for.
    @ivar full: it has no room, nor bytes that wait.
    @ivar pump: what writes into it, until it is written to or closed here.
    """

    def __init__(self, reactor: Any, changed: Callable[[], None]) -> None:
        self._reactor = reactor
        self._changed = changed
        self._pieces: deque[memoryview] = deque()
        self._finishing = False
        self.waiting = 0
        self.full = False
        self.pump: Pump | None = None
        self.reader, self._fd = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._fd, False)

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._fd

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "attached output"

    def write(self, data: bytes) -> None:
        """Write bytes, or keep what the pipe has no room for; without a reader they are dropped."""
        self.stop_pump()
        if self._fd < 0 or len(self._pieces) >= MOST_PIECES:
            return
        self._pieces.append(memoryview(data))
        self.waiting += len(data)
        if len(self._pieces) == 1:
            self._write_pieces()

    def stop_pump(self) -> None:
        """Have nothing else write into it. Idempotent."""
        if self.pump is not None:
            self.pump.stop()
            self.pump = None
            self._changed()

    def check_room(self) -> None:
        """Find out whether it has room; if not, tell of it once it has."""
        room = select.poll()
        room.register(self._fd, select.POLLOUT)
        if not room.poll(0):
            self.full = True
            self._reactor.addWriter(self)
            self._changed()

    def doWrite(self) -> None:
        """The pipe has room."""
        self._write_pieces()
        if not self.waiting:
            self._changed()

    def _write_pieces(self) -> None:
        try:
            while self._pieces:
                written = os.write(self._fd, self._pieces[0])
                self.waiting -= written
                if written == len(self._pieces[0]):
                    self._pieces.popleft()
                else:
                    self._pieces[0] = self._pieces[0][written:]
        except BlockingIOError:
            self._reactor.addWriter(self)
            return
        except OSError:  # its reader is gone
            self.close()
            return
        self.full = False
        if self._finishing:
            self.close()
        else:
            self._reactor.removeWriter(self)

    def finish(self) -> None:
        """Close it when all is written."""
        self._finishing = True
        if not self._pieces:
            self.close()

    def connectionLost(self, reason: object) -> None:
        """The reactor says that its reader is gone."""
        self.close()

    def close(self) -> None:
        """Close it, and drop what waits. Idempotent."""
        if self._fd < 0:
            return
        self.stop_pump()
        self._reactor.removeWriter(self)
        os.close(self._fd)
        self._fd = -1
        self._pieces.clear()
        self.waiting = 0
        self.full = False
        self._changed()


class PipeAttachment(Attachment):
    """One who reads two pipes.

    @param changed: called when what waits for a pipe becomes less.
    @raise OSError: there is no room for the pipes.
    """

    def __init__(self, holder: object, reactor: Any, changed: Callable[[], None]) -> None:
        super().__init__(holder)
        self._told = changed
        self._finished = False
        self._sinks: dict[int, _Sink] = {}
        try:
            for stream, name in STREAMS.items():
                sink = self._sinks[stream] = _Sink(reactor, self._sink_changed)
                self.descriptors.append((name, sink.reader))
        except OSError:
            self.close_descriptors()
            self.close()
            raise

    def write(self, stream: int, data: bytes) -> None:
        """Into its pipe."""
        self._sinks[stream].write(data)

    def backlog(self, stream: int) -> int:
        """Bytes that its pipe has no room for; 1 where it has none for a next one, or is written by others."""
        sink = self._sinks[stream]
        return sink.waiting or int(sink.full or sink.pump is not None)

    def target(self, stream: int) -> int:
        """Where bytes may be put by others: the pipe's descriptor; -1: bytes wait, or nothing reads it."""
        sink = self._sinks[stream]
        return -1 if sink.waiting else sink.fileno()

    def is_unread(self, stream: int) -> bool:
        """Its reader has closed its pipe, before the end."""
        return not self._finished and self._sinks[stream].fileno() < 0

    def check_room(self, stream: int) -> None:
        """Others could put nothing into its pipe: have the stream wait for room, if that is why."""
        self._sinks[stream].check_room()

    def begin_pump(self, stream: int, pump: Pump) -> None:
        """A stream comes by a pump from now on."""
        self._sinks[stream].pump = pump
        self._told()

    def end_pump(self, stream: int, pump: Pump | None = None) -> None:
        """It comes by none any more; nothing happens if it does not.

        @param pump: this one; None: any.
        """
        sink = self._sinks[stream]
        if pump is None or sink.pump is pump:
            sink.stop_pump()

    def finish(self) -> None:
        """No more will come: the pipes end once they have taken what waits."""
        self._finished = True
        for sink in self._sinks.values():
            sink.finish()
        self._sink_changed()

    def close(self) -> None:
        """It takes no more."""
        for sink in self._sinks.values():
            sink.close()

    def _sink_changed(self) -> None:
        self._told()
        if self._finished and all(sink.fileno() < 0 for sink in self._sinks.values()):
            self.complete()
