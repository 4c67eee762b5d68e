"""Two channels joined: what comes from one goes to the other, no faster than it is read there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.channels.multiplexed import MultiplexedChannel

if TYPE_CHECKING:
    from clove.channels.channel import Channel

__all__ = ["Splice"]


class _Side:
    """Receives from one channel for the other.

    @ivar pieces: that came.
    """

    def __init__(
        self,
        channel: Channel,
        other: Channel,
        lost: Callable[[str], object],
    ) -> None:
        self.pieces = 0
        self._channel = channel
        self._other = other
        self._lost = lost
        self._behind = False

    def data_received(self, data: bytes) -> None:
        """Send it on, or keep it and read no more until that is sent."""
        self.pieces += 1
        try:
            sent = 0 if self._behind else self._other.send_now(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:  # the other is gone, and will say so
            return
        if sent < len(data):
            if not self._behind:
                self._behind = True
                self._channel.pause()
            self._other.write(data[sent:])

    def other_drained(self) -> None:
        """The other channel has sent all that was kept for it."""
        if self._behind:
            self._behind = False
            self._channel.resume()

    def descriptors_received(self) -> None:
        """Links carry none."""

    def drained(self) -> None:
        """Set by L{Splice}."""

    def lost(self) -> None:
        """The other is closed, too."""
        channel, other = self._channel, self._other
        error = channel.error if isinstance(channel, MultiplexedChannel) else ""
        if error and isinstance(other, MultiplexedChannel):
            other.refuse(error)
        else:
            other.close()
        lost, self._lost = self._lost, _nothing
        self.__dict__.pop("drained", None)  # with its own link to the other side: no cycle is left
        lost(error)


class Splice:
    """Joins two channels, from now until one of them is lost.

    @param ended: called once with the reason, "" for an orderly end.
    """

    def __init__(
        self,
        one: Channel,
        two: Channel,
        ended: Callable[[str], object] = lambda reason: None,
    ) -> None:
        self._ended: Callable[[str], object] | None = ended
        self.first = _Side(one, two, self._end)
        self.second = _Side(two, one, self._end)
        self.first.drained = self.second.other_drained  # type: ignore[method-assign]
        self.second.drained = self.first.other_drained  # type: ignore[method-assign]
        one.deliver_to(self.first)
        two.deliver_to(self.second)

    def _end(self, reason: str) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(reason)


def _nothing(reason: str) -> None:
    """It was said."""
