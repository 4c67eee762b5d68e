"""A channel in memory: the test is the peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from clove.channels.channel import Receiver

__all__ = ["MemoryChannel"]


class MemoryChannel:
    """Both ends of a channel (L{clove.channels.channel.Channel}).

    What the peer does: L{feed}, L{end_sending}, L{take}, L{stop_reading}, L{go_on_reading} and L{lose}.

    @ivar paused: nothing is read from the peer.
    @ivar closing: it was closed by this side; what the peer has not read yet it can still have.
    @ivar aborted: it was cut off.
    @ivar is_lost: this side was told the end.
    @ivar hung_up: the peer has closed both halves, and this side is told when it looks.
    @param clock: loses a channel that is closed, in a later turn; without one the test does it.
    """

    released: Deferred[None] | None = None
    send_descriptors = None
    descriptor = None

    def __init__(self, clock: IReactorTime | None = None) -> None:
        self._clock = clock
        self._receiver: Receiver | None = None
        self._read = bytearray()  # by the peer
        self._kept = bytearray()  # until the peer reads it
        self._fed: list[bytes] = []  # until this side reads it
        self._room: int | None = None  # bytes that the peer reads; None: all
        self.is_lost = self._ending = self.hung_up = False
        self._ended: Callable[[], object] | None = None
        self.paused = self.closing = self.aborted = False

    # this side's

    def deliver_to(self, receiver: Receiver) -> None:
        """Set the object that gets what arrives, and the end of the channel."""
        self._receiver = receiver

    def read_through(self, reader: Callable[[], object]) -> Callable[[], object]:
        """Bytes come without being asked for."""
        return lambda: None

    def on_half_close(self, ended: Callable[[], object]) -> None:
        """Have it called by L{end_sending}."""
        self._ended = ended

    def send_now(self, data: bytes) -> int:
        """As much as the peer reads.

        @raise BlockingIOError: it reads nothing.
        """
        if self._room is None:
            self._read += data
            return len(data)
        if not self._room:
            raise BlockingIOError
        sent = min(self._room, len(data))
        self._room -= sent
        self._read += data[:sent]
        return sent

    def write(self, data: bytes) -> None:
        """Keep it until the peer reads."""
        self._kept += data
        self._flush()

    @property
    def unsent(self) -> int:
        """Bytes that are kept."""
        return len(self._kept)

    def pause(self) -> None:
        """Keep what the peer sends."""
        self.paused = True

    def resume(self) -> None:
        """Take what was kept."""
        self.paused = False
        self._deliver()

    def close(self) -> None:
        """The peer gets what is kept, then the end."""
        self.closing = True
        if not self._kept:
            self._end()

    def abort(self) -> None:
        """The end, at once."""
        self.closing = self.aborted = True
        self._kept.clear()
        self._end()

    def _end(self) -> None:
        if self._clock is not None and not self._ending:
            self._ending = True
            self._clock.callLater(0, self.lose)

    def _flush(self) -> None:
        if not self._kept or self._room == 0:
            return
        size = len(self._kept) if self._room is None else min(self._room, len(self._kept))
        self._read += self._kept[:size]
        del self._kept[:size]
        if self._room is not None:
            self._room -= size
        if self._kept:
            return
        if self._receiver is not None:
            self._receiver.drained()
        if self.closing:
            self._end()

    def _deliver(self) -> None:
        while (
            self._fed
            and self._receiver is not None
            and not (self.paused or self.closing or self.is_lost)
        ):
            self._receiver.data_received(self._fed.pop(0))

    # the peer's

    def feed(self, data: bytes) -> None:
        """Send bytes."""
        self._fed.append(data)
        self._deliver()

    def end_sending(self) -> None:
        """Send no more, and go on reading."""
        ended, self._ended = self._ended, None
        if ended is None:
            self.lose()
        else:
            ended()

    def take(self) -> bytes:
        """Everything read since this was called last."""
        read = bytes(self._read)
        self._read.clear()
        return read

    def stop_reading(self, room: int = 0) -> None:
        """Read so many bytes more, and then nothing."""
        self._room = room

    def go_on_reading(self) -> None:
        """Read everything."""
        self._room = None
        self._flush()

    def lose(self) -> None:
        """Go away. Idempotent."""
        if not self.is_lost and self._receiver is not None:
            self.is_lost = True
            self._ended = None
            receiver, self._receiver = self._receiver, None
            receiver.lost()
