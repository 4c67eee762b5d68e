"""Many channels on one link, which lives on when its connection is cut and made anew.

A link carries frames (L{clove.channels.session}), each as one message of whatever carries it. Every
channel has a window in each direction, so a reader that is slow holds up nothing but its own channel;
all share the bound on what is sent and not acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from clove.channels.multiplexed import LinkLimits, MultiplexedChannel, parse_object
from clove.channels.session import (
    COUNTED,
    BrokenLink,
    FrameKind,
    Session,
    ack_count,
    frame,
    parse,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["MOST_CONTROL", "MOST_REFUSED", "Carrier", "LinkLimits", "Multiplex"]

MOST_REFUSED: Final = 8192
"""Channels of a link that were refused here and are not closed by the other side yet."""
MOST_CONTROL: Final = 16 << 10
"""Bytes of CONTROL that wait for a connection that is full; what comes past it is dropped."""


class Carrier(Protocol):
    """Sends whole messages; it calls L{Multiplex.received}, C{writable} and C{detach}."""

    @property
    def full(self) -> bool:
        """It has enough for now."""

    def send(self, message: bytes) -> None:
        """Send a message, in order."""

    def end(self, reason: str) -> None:
        """Close the connection; the other side broke the rules."""


class Multiplex:
    """One end of a link.

    @param accept: takes a channel that the other side opens, and what OPEN says; None: it may not.
    @param control: takes what CONTROL says.
    @param ended: called once with the reason when the link is over and all channels are lost.
    @ivar channels: by their numbers; those too that are closed here and not there.
    @ivar messages: how many came, on all connections.
    """

    __slots__ = (
        "_accept",
        "_ack",
        "_carrier",
        "_control",
        "_controls",
        "_ended",
        "_next",
        "_waiting",
        "channels",
        "clock",
        "limits",
        "messages",
        "session",
    )

    def __init__(
        self,
        clock: IReactorTime,
        *,
        accept: Callable[[MultiplexedChannel, dict[str, Any]], object] | None = None,
        control: Callable[[dict[str, Any]], object] = lambda said: None,
        ended: Callable[[str], object] = lambda reason: None,
        limits: LinkLimits | None = None,
    ) -> None:
        self.clock = clock
        self.limits = limits or LinkLimits()
        self.session = Session(self.limits.unacknowledged, self.limits.ack_bytes)
        self.channels: dict[int, MultiplexedChannel] = {}
        self.messages = 0
        self._accept = accept
        self._control = control
        self._ended: Callable[[str], object] | None = ended
        self._carrier: Carrier | None = None
        self._next = 1
        self._waiting: dict[int, MultiplexedChannel] = {}
        self._ack: IDelayedCall | None = None
        self._controls: list[bytes] | None = None  # smaller than a list: there are many links

    # the connection

    @property
    def is_attached(self) -> bool:
        """There is a connection."""
        return self._carrier is not None

    @property
    def is_over(self) -> bool:
        """Nothing comes any more."""
        return self._ended is None

    def attach(self, carrier: Carrier, received: int = 0) -> None:
        """Go on over a connection.

        @param received: how many of our frames the other side says it has.
        @raise BrokenLink: it cannot have.
        """
        again = self.session.resume(received)
        self._carrier = carrier
        for message in again:
            carrier.send(message)
        self.writable()

    def detach(self) -> None:
        """The connection is gone; what is sent now waits for the next."""
        self._carrier = self._controls = None
        self._stop_ack()

    def end(self, reason: str) -> None:
        """The link is over: every channel is lost. Idempotent."""
        carrier, self._carrier = self._carrier, None
        ended, self._ended = self._ended, None
        self._stop_ack()
        if carrier is not None:
            carrier.end(reason)
        channels, self.channels, self._waiting = list(self.channels.values()), {}, {}
        for channel in channels:
            channel.link_ended(reason)
        if ended is not None:
            ended(reason)
        self._accept, self._control = None, _ignored  # who ends it knows it: no cycle is left

    # channels

    def open(self, said: dict[str, Any]) -> MultiplexedChannel:
        """A new channel; the other side accepts it.

        @param said: OPEN's JSON object.
        @raise BrokenLink: the link is over, or has all the channels that it may have.
        """
        if self.is_over or len(self.channels) >= self.limits.channels:
            raise BrokenLink("no further channel on this link")
        while self._next in self.channels:
            self._next = self._next % 0xFFFFFFFF + 1
        channel = self.add_channel(self._next)
        self._next = self._next % 0xFFFFFFFF + 1
        self.send_counted(frame(channel.number, FrameKind.OPEN, json.dumps(said).encode()))
        return channel

    def add_channel(self, number: int) -> MultiplexedChannel:
        """A channel that both sides know of."""
        self.channels[number] = channel = MultiplexedChannel(self, number)
        return channel

    def send_counted(self, message: bytes) -> None:
        """Send a counted frame, or keep it for the next connection."""
        if self.is_over:
            return
        try:
            self.session.keep(message)
        except BrokenLink as error:
            self.end(str(error))
            return
        if self._carrier is not None:
            self._carrier.send(message)

    def send_control(self, said: dict[str, Any], *, is_last: bool = False) -> None:
        """Send a CONTROL; dropped where there is no connection, or too much of it waits.

        It waits while the connection is full, and is the first then: while a channel floods it, it is full
        whenever a ping comes, and the other side would take one that floods for dead.

        @param is_last: the connection is closed next, so it does not wait.
        """
        carrier = self._carrier
        if carrier is None:
            return
        message = frame(0, FrameKind.CONTROL, json.dumps(said).encode())
        if is_last or not carrier.full:
            carrier.send(message)
        elif sum(map(len, waiting := self._controls or [])) + len(message) <= MOST_CONTROL:
            self._controls = [*waiting, message]

    @property
    def ready(self) -> bool:
        """Bytes of channels can be sent now."""
        carrier = self._carrier
        return carrier is not None and not carrier.full and not self.session.is_full

    def wait(self, channel: MultiplexedChannel) -> None:
        """A channel keeps bytes; it is asked in turn."""
        self._waiting[channel.number] = channel

    def writable(self) -> None:
        """Send what waits: CONTROL, then what channels keep, a piece of each in turn."""
        carrier, controls = self._carrier, self._controls
        if controls and carrier is not None and not carrier.full:
            self._controls = None
            for message in controls:
                carrier.send(message)
        while self._waiting and self.ready:
            for number, channel in list(self._waiting.items()):
                if not self.ready:
                    return
                if channel.send_piece():
                    self._waiting.pop(number, None)

    # what comes

    def received(self, message: bytes) -> None:
        """A message came; one that breaks the rules ends the link."""
        if self.is_over:
            return
        self.messages += 1
        try:
            number, kind, body = parse(message)
            if kind in COUNTED:
                self._count(len(message))
            self._handle(number, kind, body)
        except BrokenLink as error:
            self.end(str(error))

    def _handle(self, number: int, kind: int, body: bytes) -> None:
        if kind == FrameKind.ACK:
            self.session.acknowledge(ack_count(body))
            self.writable()
        elif kind == FrameKind.CONTROL:
            self._control(parse_object(body))
        elif kind == FrameKind.OPEN:
            self._opened(number, parse_object(body))
        else:
            channel = self.channels.get(number)
            if channel is None:
                raise BrokenLink(f"there is no channel {number}")
            channel.frame_received(kind, body)

    def _opened(self, number: int, said: dict[str, Any]) -> None:
        if self._accept is None:
            raise BrokenLink("this side opens the channels")
        if number in self.channels or not number:
            raise BrokenLink(f"channel {number} is open already")
        if len(self.channels) >= self.limits.channels + MOST_REFUSED:
            raise BrokenLink("too many channels were refused and not closed")
        channel = self.add_channel(number)
        if len(self.channels) > self.limits.channels:
            channel.refuse("this link has too many channels")
        else:
            self._accept(channel, said)

    def forget(self, channel: MultiplexedChannel) -> None:
        """Both sides have closed it: its number is free."""
        if self.channels.get(channel.number) is channel:
            del self.channels[channel.number]
            self._waiting.pop(channel.number, None)

    def _count(self, size: int) -> None:
        if self.session.count(size):
            self._send_ack()
        elif self._ack is None:
            self._ack = self.clock.callLater(self.limits.ack_seconds, self._send_ack)

    def _send_ack(self) -> None:
        self._stop_ack()
        if self._carrier is not None and self.session.owes_ack:
            self._carrier.send(self.session.ack())

    def _stop_ack(self) -> None:
        call, self._ack = self._ack, None
        if call is not None and call.active():
            call.cancel()


def _ignored(said: dict[str, Any]) -> None:
    """Nothing is said any more."""
