"""The blocking client's connection, which is made anew when it was lost. Standard library only."""

from __future__ import annotations

import os
import threading
from time import monotonic, sleep

from clove.client.channel import Channel
from clove.client.dialling import dial
from clove.client.exchange import Exchange
from clove.client.limits import ClientLimits
from clove.client.methods import work
from clove.errors import CloveError, ConnectionLost, TimedOut

__all__ = ["BlockingConnection"]


class BlockingConnection:
    """At most one live channel to the kernel, and the token that resumes its identity.

    @param paths: the sockets to try.
    @ivar socket_path: the one where the kernel was reached last; before that the first.
    @ivar channel: the last channel, which may be lost; None before the first and after `close`.
    @ivar pushing: where events were asked for last, until its loss was told; it may be lost. None: there is none.
    """

    def __init__(self, paths: tuple[str, ...], limits: ClientLimits) -> None:
        self.socket_path = paths[0]
        self.channel: Channel | None = None
        self.pushing: Channel | None = None
        self._paths = paths
        self._limits = limits
        self._connecting = threading.Lock()
        self._token = ""
        self._pid = os.getpid()

    @property
    def is_alive(self) -> bool:
        """Whether there is a live channel, and it is this process's."""
        channel = self.channel
        return channel is not None and channel.lost is None and self._pid == os.getpid()

    @property
    def exchange(self) -> Exchange | None:
        """The last channel's; None before the first and after `close`."""
        return None if self.channel is None else self.channel.exchange

    def live_channel(self, deadline: float | None) -> Channel:
        """The live channel; connects if there is none.

        @param deadline: of the monotonic clock.
        @raise ConnectionLost: the kernel cannot be reached; its hint says what to do.
        @raise PermissionDenied: the kernel refuses this user, or is another user's.
        @raise TimedOut: the deadline is over.
        """
        if self._pid != os.getpid():
            self._forked()
        channel = self.channel
        if channel is not None and channel.lost is None:
            return channel
        if not self._connecting.acquire(timeout=_patience(deadline)):
            raise TimedOut("another thread is still connecting")
        try:
            channel = self.channel
            if channel is None or channel.lost is not None:
                channel = self.channel = self._reach(deadline, again=channel is not None)
            return channel
        finally:
            self._connecting.release()

    def pushing_channel(self, deadline: float | None) -> Channel:
        """Where events come; the live channel, as L{live_channel} has it, where none were asked for."""
        if self._pid != os.getpid():
            self._forked()
        return self.pushing or self.live_channel(deadline)

    def close(self) -> None:
        """Close the channel and forget the identity. Harmless when repeated."""
        channel, self.channel, self._token = self.channel, None, ""
        if channel is not None:
            if self._pid == os.getpid():
                _goodbye(channel)
            else:
                channel.disown()

    def _reach(self, deadline: float | None, *, again: bool) -> Channel:
        """Connect; after a loss with several attempts, since the kernel may be restarting."""
        failure: ConnectionLost | None = None
        for pause in self._limits.pauses() if again else [0.0]:
            if deadline is not None and monotonic() + pause > deadline:
                break
            sleep(pause)
            try:
                return self._greeted(deadline)
            except ConnectionLost as error:
                failure = error
        raise failure or TimedOut("the kernel could not be reached in time")

    def _greeted(self, deadline: float | None) -> Channel:
        """Connect once and say HELLO; with the token first, if there is one."""
        for token in dict.fromkeys((self._token, "")):
            channel = self._dial(deadline)
            try:
                answer = channel.greet(token, deadline)
                if channel.exchange.welcomed(answer, resuming=bool(token)):
                    self._token = str(channel.exchange.welcome.get("resume", ""))
                    return channel
            except BaseException:
                channel.close()
                raise
            channel.close()
        raise ConnectionLost("the kernel does not greet")

    def _dial(self, deadline: float | None) -> Channel:
        connection, self.socket_path = dial(self._paths, deadline)
        return Channel(connection, self._limits)

    def _forked(self) -> None:
        """We are a child process now: leave the parent's channel alone."""
        channel, self.channel = self.channel, None
        self.pushing = None
        self._connecting = threading.Lock()
        self._token = ""
        self._pid = os.getpid()
        if channel is not None:
            channel.disown()


def _patience(deadline: float | None) -> float:
    """Seconds until a deadline, as Lock.acquire takes them."""
    return -1 if deadline is None else max(0.0, deadline - monotonic())


def _goodbye(channel: Channel) -> None:
    """Say EXIT, so that the kernel does not keep our belongings for a minute."""
    try:
        if channel.lost is None:
            channel.start(work.exit().opcode, b"", monotonic())
    except CloveError:
        pass
    finally:
        channel.close()
