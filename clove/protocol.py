"""The Twisted protocol at the kernel's end of a connection: it makes a channel of the transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from zope.interface import implementer

from clove.channels.stream import StreamChannel
from clove.channels.unix import UnixChannel, unix_socket

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from clove.channels.channel import Channel

__all__ = ["ChannelProtocol"]

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the handshake of TLS."""


@implementer(IHandshakeListener)
class ChannelProtocol(Protocol):
    """Makes a channel of the transport that Twisted gives it; of TLS when both sides are known.

    @param accept: takes the channel and its transport; calls L{Channel.deliver_to}.
    @param clock: ends a TLS handshake that takes longer than L{HANDSHAKE_TIMEOUT}.
    """

    def __init__(
        self, accept: Callable[[Channel, object], object], clock: IReactorTime | None = None
    ) -> None:
        self._accept = accept
        self._clock = clock
        self._timeout: IDelayedCall | None = None
        self._channel: StreamChannel | UnixChannel | None = None

    def connectionMade(self) -> None:
        """The transport is there."""
        transport: Any = self.transport
        if not ISSLTransport.providedBy(transport):
            self._make_channel()
        elif self._clock is not None:
            self._timeout = self._clock.callLater(HANDSHAKE_TIMEOUT, transport.abortConnection)

    def handshakeCompleted(self) -> None:
        """TLS can carry bytes. A channel before that could be paused, and so never get there."""
        self._stop_timeout()
        self._make_channel()

    def _stop_timeout(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()

    def _make_channel(self) -> None:
        """Use the socket itself where it is known to be a Unix socket."""
        transport = self.transport
        end = unix_socket(transport)
        channel = StreamChannel(transport) if end is None else UnixChannel(transport, end)
        self._channel = channel
        self._accept(channel, transport)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on; a Unix channel reads by itself."""
        channel = self._channel
        if channel is not None and channel.receiver is not None and not channel.closing:
            channel.receiver.data_received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end."""
        self._stop_timeout()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.transport_lost()
