"""The sending half of a connection: at once where nothing waits, with a bound on what does.

A peer that does not read makes this side stop reading from it, and is cut off past a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from clove.channels.channel import Channel

__all__ = ["Sender"]


def _itself(unsent: int) -> int:
    return unsent


def _never(unsent: int) -> bool:
    return False


class Sender:
    """Sends over a channel.

    @ivar congested: the peer reads more slowly than we write.
    @ivar unsent_limit: bytes that may wait to be read by the peer; past it the channel is
        aborted.
    @ivar resume_below: while more bytes than this wait, nothing is read from the peer either.
    @ivar backlog: what counts against `unsent_limit`, if so many bytes wait here.
    @param refuses: whether something else than `unsent_limit` forbids that so many wait.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        unsent_limit: int = 64 << 20,
        resume_below: int = 1 << 20,
        backlog: Callable[[int], int] = _itself,
        refuses: Callable[[int], bool] = _never,
    ) -> None:
        self._channel = channel
        self.unsent_limit = unsent_limit
        self.resume_below = resume_below
        self.backlog = backlog
        self._refuses = refuses
        self.congested = False
        self._waiting: list[Deferred[None]] = []
        self._send_now: Callable[[bytes], int] = channel.send_now

    def send(self, data: bytes) -> None:
        """Send bytes of whole frames: at once if nothing waits, else when the peer reads them."""
        if not self.congested:
            try:
                sent = self._send_now(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._channel.close()
                return
            if sent == len(data):
                return
            data = data[sent:]
        self._keep(data)

    @property
    def takes_descriptors(self) -> bool:
        """Descriptors can be sent over this channel."""
        return self._channel.send_descriptors is not None

    def send_descriptors(self, data: bytes, descriptors: Sequence[int]) -> bool:
        """Send bytes of whole frames with descriptors; False if something waits before them.

        @raise OSError: they cannot be sent, and nothing was.
        """
        send = self._channel.send_descriptors
        if self.congested or send is None:
            return False
        sent = send(data, descriptors)
        if sent < len(data):
            self._keep(data[sent:])
        return True

    def _keep(self, data: bytes) -> None:
        """Keep bytes until they can be sent, and notice a peer that does not read."""
        channel = self._channel
        self.congested = True  # before: a channel may say at once that it has sent them
        channel.write(data)
        unsent = self.unsent
        if self._is_too_much(unsent):
            channel.abort()
        elif unsent > self.resume_below:
            channel.pause()

    def _is_too_much(self, unsent: int) -> bool:
        if self._refuses(unsent):
            return True
        return unsent > self.resume_below and self.backlog(unsent) > self.unsent_limit

    @property
    def unsent(self) -> int:
        """Bytes that wait to be read by the peer."""
        return self._channel.unsent if self.congested else 0

    @property
    def is_behind(self) -> bool:
        """The peer has so much left to read that nothing is read from it."""
        return self.congested and self._channel.unsent > self.resume_below

    def when_drained(self) -> Deferred[None]:
        """Fires when the peer has taken all that waits; never, if it is lost before."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def drained(self) -> bool:
        """The channel has sent everything. False if it closes: then no waiter is called."""
        self.congested = False
        if self._channel.closing:
            return False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)
        return True

    def lost(self) -> None:
        """What is sent from now on is lost."""
        self.congested = False
        self._send_now = len
        self.backlog, self._refuses = _itself, _never  # no reference cycle through these
