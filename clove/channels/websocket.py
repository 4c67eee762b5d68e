"""A channel over a WebSocket: bytes in binary messages; where one message ends means nothing.

For a relay and for its clients. The kernel must not import it: it has no WebSockets and does not
need Autobahn in its memory (`.importlinter` holds that).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)

from clove.channels.channel import Channel
from clove.channels.stream import StreamChannel

__all__ = ["MAX_MESSAGE", "WebSocketChannel", "bounded", "connecting", "serving"]

MAX_MESSAGE: Final = 1 << 20
"""Bytes of a message that is received; a larger one ends the connection."""
OPEN_TIMEOUT: Final = 10.0
"""Seconds for the opening handshake."""
CLOSE_TIMEOUT: Final = 30.0
"""Seconds in which a peer reads what is left and answers the closing handshake; then it is cut off."""
_TEXT: Final = 4000  # RFC 6455, 7.4.2: a close code of our own


class WebSocketChannel(StreamChannel):
    """Writes messages; the transport below the WebSocket says when it has enough.

    While it has, nothing is read either: the answers to a peer's pings would otherwise wait
    without a bound for a peer that does not read.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol.transport)
        self._protocol = protocol
        self._stopped = False

    def _put(self, data: bytes) -> None:
        self._protocol.sendMessage(data, isBinary=True)

    def pause(self) -> None:
        """Have the transport read no more, but for the closing handshake."""
        self._reading = self._closing
        self._steer()

    def resume(self) -> None:
        """Have the transport read again."""
        self._reading = True
        self._steer()

    def pauseProducing(self) -> None:
        """The transport has enough."""
        super().pauseProducing()
        self._steer()

    def resumeProducing(self) -> None:
        """The transport wants more."""
        super().resumeProducing()
        self._steer()

    def _steer(self) -> None:
        stop = self._full or not self._reading
        if stop and not self._stopped:
            self._transport.pauseProducing()
        elif self._stopped and not stop:
            self._transport.resumeProducing()
        self._stopped = stop

    def _end(self) -> None:
        self._full = False  # the transport tells no more
        self.resume()  # the peer's half of the handshake is to be read
        self._protocol.sendClose()

    def abort(self) -> None:
        """Close at once, without a handshake."""
        self._closing = True
        if not self._gone:
            self._protocol.dropConnection(abort=True)


class _Ends:
    """What the protocols of both sides do with Autobahn's events."""

    transport: Any
    factory: Any
    sendClose: Callable[..., None]
    _channel: WebSocketChannel | None = None

    def onOpen(self) -> None:
        """The opening handshake is done."""
        self._channel = WebSocketChannel(self)
        self.factory.accept(self._channel, self.transport)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A whole message came."""
        channel = self._channel
        if channel is None or channel.receiver is None or channel.closing:
            return
        if isBinary:
            channel.receiver.data_received(payload)
        else:
            self.sendClose(_TEXT, "binary messages only")

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The transport is gone."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.transport_lost()


class _Server(_Ends, WebSocketServerProtocol):  # type: ignore[misc]
    """The end that was connected to."""


class _Client(_Ends, WebSocketClientProtocol):  # type: ignore[misc]
    """The end that connects."""


def bounded(
    factory: Any,
    accept: Callable[..., object],
    max_message: int,
    close_timeout: float = CLOSE_TIMEOUT,
) -> Any:
    """A factory of either side with the bounds that all have.

    @param close_timeout: seconds for the closing handshake.
    """
    factory.accept = accept
    factory.setProtocolOptions(
        maxFramePayloadSize=max_message,
        maxMessagePayloadSize=max_message,
        openHandshakeTimeout=OPEN_TIMEOUT,
        closeHandshakeTimeout=close_timeout,
        # No pings of Autobahn's: while flow control keeps this side from reading, no answer
        # would be read either, and the connection be lost for that.
        autoPingInterval=0,
        failByDrop=True,
        tcpNoDelay=True,
    )
    return factory


def serving(
    accept: Callable[[Channel, object], object],
    *,
    reactor: Any,
    url: str | None = None,
    max_message: int = MAX_MESSAGE,
) -> Any:
    """A factory for a listening endpoint. Compression is not offered: it can be made to explode.

    @param accept: takes a channel and its transport; calls L{Channel.deliver_to}.
    @param url: where it is reached (ws or wss); None: the host in a request is not checked.
    """
    factory = WebSocketServerFactory(url, reactor=reactor)
    factory.protocol = _Server
    return bounded(factory, accept, max_message)


def connecting(
    url: str,
    accept: Callable[[Channel, object], object],
    *,
    reactor: Any,
    max_message: int = MAX_MESSAGE,
) -> Any:
    """A factory for a client's endpoint.

    @param url: what is asked for; its scheme does not make the transport TLS: the endpoint does.
    @param accept: as in L{serving}.
    """
    factory = WebSocketClientFactory(url, reactor=reactor)
    factory.protocol = _Client
    return bounded(factory, accept, max_message)
