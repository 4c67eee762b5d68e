"""A kernel's tunnel (version 2), over any number of connections."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as NotInTime

from clove.channels.multiplex import LinkLimits, Multiplex
from clove.channels.session import BrokenLink
from clove.errors import Unavailable
from clove.relay.hub.presence import Presence, PresenceState
from clove.relay.hub.resumable_link import ResumableLink

if TYPE_CHECKING:
    from clove.channels.multiplexed import MultiplexedChannel
    from clove.messages.relay import Caller
    from clove.relay.hub.doors import TunnelChange, TunnelObserver
    from clove.relay.hub.limits import HubLimits

__all__ = ["MachineLink"]


class MachineLink(ResumableLink):
    """One machine's tunnel.

    @param wall: seconds since the epoch.
    @param ended: called once with the reason, when nothing of the session is left.
    @ivar instance: of the kernel that has proved its key.
    @ivar public_key: that key.
    """

    __slots__ = (
        "_ended",
        "_last_ping",
        "_observers",
        "_pings",
        "_presence",
        "_wall",
        "instance",
        "machine_id",
        "public_key",
    )
    peer = "the machine"

    def __init__(
        self,
        clock: Any,
        wall: Callable[[], float],
        limits: HubLimits,
        machine_id: str,
        instance: str,
        ended: Callable[[MachineLink, str], object],
        public_key: bytes | None = None,
    ) -> None:
        super().__init__(clock, limits)
        self.machine_id = machine_id
        self.instance = instance
        self.public_key = public_key
        self._wall = wall
        self._ended = ended
        self._presence = Presence(limits.ping_seconds, clock.seconds(), wall())
        self._pings: dict[int, Deferred[None]] = {}
        self._last_ping = 0
        self._observers: dict[TunnelObserver, None] = {}  # less than an empty set
        self.link = Multiplex(
            clock,
            control=self._control,
            ended=self._over,
            limits=_link_limits(limits.kept, limits.channels),
        )

    # connections

    def _attached(self) -> None:
        self._presence.answered(self._clock.seconds(), self._wall())
        self._tell("kernel_connected")

    def _detached(self) -> None:
        self._presence.cut(self._wall())
        for waiting in list(self._pings.values()):
            waiting.cancel()
        if not (self._draining or self.link.is_over):
            self._tell("kernel_disconnected")

    def drain(self, seconds: float) -> None:
        """Tell the kernel that this relay stops, and other relays' callers of it."""
        self._draining = True
        self.link.send_control({"type": "drain", "seconds": seconds})
        self._tell("drain")

    def _over(self, reason: str) -> None:
        self._stop_expiry()
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.abort()
        for waiting in list(self._pings.values()):
            waiting.cancel()
        self._presence.cut(self._wall())
        self._ended(self, reason)

    # presence

    @property
    def presence(self) -> PresenceState:
        """Whether the kernel answers."""
        return self._presence.state(self._clock.seconds())

    @property
    def since(self) -> float:
        """When that began, in seconds since the epoch."""
        return self._presence.since(self._clock.seconds())

    def ping(self) -> None:
        """Ask the kernel for an answer; cut a connection that has given none for too long."""
        socket = self._socket
        if socket is None:
            return
        if self._presence.state(self._clock.seconds()) == "disconnected":
            socket.abort()
            return
        self._last_ping += 1
        self.link.send_control({"type": "ping", "id": self._last_ping})

    async def answers(self, seconds: float) -> bool:
        """Does the kernel answer within so many seconds?"""
        if self._socket is None:
            return False
        self.ping()
        number = self._last_ping
        waiting: Deferred[None] = Deferred()
        self._pings[number] = waiting
        waiting.addTimeout(seconds, self._clock)
        try:
            await waiting
        except (NotInTime, CancelledError):
            return False
        finally:
            self._pings.pop(number, None)
        return True

    def _control(self, said: dict[str, Any]) -> None:
        number = said.get("id")
        if said.get("type") == "ping":
            self.link.send_control({"type": "pong", "id": number if _is_id(number) else 0})
        elif said.get("type") == "pong" and isinstance(number, int):
            if not 0 < number <= self._last_ping:
                raise BrokenLink("a pong without a ping")
            self._presence.answered(self._clock.seconds(), self._wall())
            waiting = self._pings.get(number)
            if waiting is not None and not waiting.called:
                waiting.callback(None)
        elif said.get("type") == "leave":
            self.end("the machine has left")

    # callers

    @property
    def callers(self) -> int:
        """Channels that are open."""
        return len(self.link.channels)

    def open(self, caller: Caller) -> MultiplexedChannel:
        """A channel to the kernel, for a caller.

        @raise Unavailable: the tunnel is over, or has all the channels that it may have.
        """
        try:
            return self.link.open({"caller": msgspec.to_builtins(caller)})
        except BrokenLink as error:
            raise Unavailable(
                f"machine {self.machine_id!r} takes no further callers: {error}",
                hint="try again later",
            ) from None

    def observe(self, observer: TunnelObserver) -> Callable[[], None]:
        """See L{FarMachine<clove.relay.hub.doors.FarMachine>}."""
        self._observers[observer] = None
        return lambda: self._observers.pop(observer, None)

    def _tell(self, change: TunnelChange) -> None:
        for observer in list(self._observers):
            observer(change)


@lru_cache
def _link_limits(kept: int, channels: int) -> LinkLimits:
    """The same object for all links."""
    return LinkLimits(unacknowledged=kept, channels=channels)


def _is_id(number: object) -> bool:
    return isinstance(number, int) or (isinstance(number, str) and len(number) <= 64)
