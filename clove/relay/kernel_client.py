"""The Deferred client over a channel of the hub's: how the REST API asks a machine's kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from clove.channels.sender import Sender
from clove.client.deferred import DeferredClient
from clove.client.deferred_connection import DeferredConnection
from clove.client.limits import ClientLimits
from clove.client.link import Link, Partial
from clove.errors import CloveError, ConnectionLost

if TYPE_CHECKING:
    from clove.channels.channel import Channel

__all__ = ["NO_SENSE", "KernelClient"]

NO_SENSE: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What is raised where an answer of a kernel has other fields than it should, or of other types."""

_LIMITS = ClientLimits(reconnects=1)
_SECONDS = 30.0


class _Wire:
    """A channel as the transport of the client's protocol."""

    def __init__(self, channel: Channel, link: Link) -> None:
        self.channel = channel
        self._sender = Sender(channel)
        self._link = link
        link.transport = self  # type: ignore[assignment] # of a transport it has what is called
        channel.deliver_to(self)
        link.connectionMade()

    def write(self, data: bytes) -> None:
        """As a transport."""
        self._sender.send(data)

    def loseConnection(self) -> None:
        """As a transport."""
        self.channel.close()

    def abortConnection(self) -> None:
        """As a transport."""
        self.channel.abort()

    def data_received(self, data: bytes) -> None:
        """As a channel's receiver."""
        self._link.dataReceived(data)

    def descriptors_received(self) -> None:
        """Links carry none."""

    def drained(self) -> None:
        """All was sent."""
        self._sender.drained()

    def lost(self) -> None:
        """The channel is gone."""
        self._sender.lost()
        self._link.connectionLost(Failure(connectionDone.value))


class _KernelLink(Link):
    """Ends with the first frame that makes no sense: a kernel may be anybody's, and send them without end."""

    def _call(self, function: Partial, payload: bytes) -> None:
        try:
            function(payload)
        except (CloveError, *NO_SENSE):
            self.drop(ConnectionLost("the kernel's answer makes no sense"))


class _HubConnection(DeferredConnection):
    """Connects by opening a channel."""

    def __init__(self, open_channel: Callable[[], Channel], *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._open_channel = open_channel
        self.wire: _Wire | None = None
        self.aborted = False

    async def _dial(self) -> Link:
        if self.aborted:
            raise ConnectionLost("what was opened to the machine was ended")
        link = _KernelLink(self._limits, self._pushed)
        self.wire = _Wire(self._open_channel(), link)
        return link


class KernelClient(DeferredClient):
    """Asks one machine's kernel, on behalf of one caller.

    @param reactor: a clock.
    @param open_channel: raises Unavailable where the machine is not connected.
    """

    _connection: _HubConnection

    def __init__(self, reactor: Any, open_channel: Callable[[], Channel]) -> None:
        super().__init__(reactor, "relay", timeout=_SECONDS, limits=_LIMITS)
        self._connection = _HubConnection(
            open_channel,
            reactor,
            ("relay",),
            None,
            self.limits,
            pushed=self._event,
            pushing_lost=self._events_lost,
            bounded=lambda greeting: self._within(greeting, 0.0),
        )

    def stop_reading(self) -> None:
        """Read no more from the kernel; what it sends waits there."""
        if self._connection.wire is not None:
            self._connection.wire.channel.pause()

    def read_again(self) -> None:
        """Read again."""
        if self._connection.wire is not None:
            self._connection.wire.channel.resume()

    def abort(self) -> None:
        """End the channel at once, and open no other; what waits for an answer fails."""
        self._connection.aborted = True
        if self._connection.wire is not None:
            self._connection.wire.channel.abort()
