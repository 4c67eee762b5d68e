"""Whole messages over a WebSocket: what carries links, and version 1 of the relay's protocol.

Like L{clove.channels.websocket}, not for a kernel without a tunnel: Autobahn is not in its memory.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

__all__ = ["FIRST_MESSAGES", "MessageReceiver", "MessageSocket", "connecting", "serving"]

FIRST_MESSAGES: Final = 64 << 10
"""Bytes of a message before the other side is known."""
OPEN_TIMEOUT: Final = 10.0
"""Seconds for the opening handshake."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds in which a peer answers the closing handshake; then it is cut off."""
REFUSED: Final = 4000
"""RFC 6455, 7.4.2: a close code of our own."""
MOST_REASON: Final = 120
"""Bytes of a reason; WebSockets take 123."""


class MessageReceiver(Protocol):
    """What is told of a connection."""

    def text_received(self, text: bytes) -> None:
        """A text message came."""

    def binary_received(self, data: bytes) -> None:
        """A binary message came."""

    def writable(self) -> None:
        """L{MessageSocket.full} is over."""

    def closed(self, reason: str) -> None:
        """The connection is gone. Called once, and last."""


@implementer(IPushProducer)
class MessageSocket:
    """One WebSocket.

    @ivar full: the peer does not read as fast as is written.
    @ivar address: the peer's, without a port; "" where there is none.
    @ivar receiver: is told what happens.
    @ivar pongs: answers to L{ping} so far.
    """

    def __init__(self, protocol: Any, address: str = "") -> None:
        self.full = False
        self.pongs = 0
        self.address = address
        self.receiver: MessageReceiver | None = None
        self._protocol = protocol
        self._gone = False
        self._paused = False
        protocol.transport.registerProducer(self, True)

    def allow(self, size: int) -> None:
        """Take messages of so many bytes from now on."""
        self._protocol.maxFramePayloadSize = size
        self._protocol.maxMessagePayloadSize = size

    def send(self, message: bytes) -> None:
        """Send a binary message."""
        if not self._gone:
            self._protocol.send_binary(message)

    def send_text(self, text: bytes) -> None:
        """Send a text message."""
        if not self._gone:
            self._protocol.sendMessage(text, False)

    def ping(self) -> None:
        """Ask the other end of the WebSocket for a pong."""
        if not self._gone:
            self._protocol.sendPing()

    def pause(self) -> None:
        """Read no more. Idempotent."""
        if not (self._paused or self._gone):
            self._paused = True
            self._protocol.transport.pauseProducing()

    def resume(self) -> None:
        """Read again. Idempotent."""
        if self._paused and not self._gone:
            self._paused = False
            self._protocol.transport.resumeProducing()

    def end(self, reason: str) -> None:
        """Close it with a reason; nothing more is received."""
        if not self._gone:
            self.receiver, receiver = None, self.receiver
            self.resume()
            self._protocol.transport.unregisterProducer()
            self._protocol.sendClose(REFUSED, _short(reason))
            self._gone = True
            if receiver is not None:
                receiver.closed(reason)

    def abort(self) -> None:
        """Cut it off at once."""
        if not self._gone:
            self._protocol.dropConnection(abort=True)

    def lost(self, reason: str) -> None:
        """The protocol says that it is gone."""
        self._gone = True
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.closed(reason)

    # the transport's producer

    def pauseProducing(self) -> None:
        """The transport has enough."""
        self.full = True

    def resumeProducing(self) -> None:
        """The transport wants more."""
        self.full = False
        if self.receiver is not None:
            self.receiver.writable()

    def stopProducing(self) -> None:
        """The transport is closed."""


class _Ends:
    """What the protocols of both sides do with Autobahn's events, which swallow exceptions."""

    _events = Logger(namespace=__name__)
    transport: Any
    factory: Any
    sendPong: Callable[..., None]
    dropConnection: Callable[..., None]
    _socket: MessageSocket | None = None
    state: int
    send_queue: Any
    sendMessage: Callable[[bytes, bool], None]
    _dataReceived: Callable[[bytes], None]

    def dataReceived(self, data: bytes) -> None:
        """Twisted's. Autobahn's own makes text for a log line of every piece, logged or not."""
        self._dataReceived(data)

    def send_binary(self, data: bytes) -> None:
        """Send a message in one frame; without what Autobahn does for every one of its own.

        With Autobahn's C{sendMessage} the way through a relay takes half as long again.
        """
        if self.state != WebSocketServerProtocol.STATE_OPEN:
            return
        if self.send_queue:
            self.sendMessage(data, True)
        else:
            self.transport.write(self.frame(data))

    def frame(self, data: bytes) -> bytes:
        """A binary message on the wire."""
        raise NotImplementedError

    def onOpen(self) -> None:
        """The opening handshake is done."""
        host = getattr(self.transport.getPeer(), "host", "")
        self._socket = MessageSocket(self, host)
        self._guarded(self.factory.accept, self._socket)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A whole message came."""
        receiver = None if self._socket is None else self._socket.receiver
        if receiver is not None:
            self._guarded(receiver.binary_received if isBinary else receiver.text_received, payload)

    def onPing(self, payload: bytes) -> None:
        """Answer it, unless the peer does not read our answers."""
        if self._socket is not None and not self._socket.full:
            self.sendPong(payload)

    def onPong(self, payload: bytes) -> None:
        """It is there."""
        if self._socket is not None:
            self._socket.pongs += 1

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The transport is gone."""
        socket, self._socket = self._socket, None
        if socket is not None:
            self._guarded(socket.lost, str(reason or "the connection was cut"))
        else:
            failed = getattr(self.factory, "failed", None)
            if failed is not None:
                self._guarded(failed, str(reason or "the connection was cut"))

    def _guarded(self, call: Callable[[Any], object], argument: object) -> None:
        try:
            call(argument)
        except Exception:
            self._events.failure("a WebSocket's receiver failed")
            self.dropConnection(abort=True)


class _Server(_Ends, WebSocketServerProtocol):  # type: ignore[misc]
    """The end that was connected to."""

    def frame(self, data: bytes) -> bytes:
        """A server's is not masked."""
        return _head(len(data), 0) + data

    def onConnect(self, request: Any) -> None:
        """Programs send no Origin, browsers always do: none of their pages is to reach a hub."""
        if {"origin", "sec-websocket-origin"} & {*request.headers}:
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "no browsers here")


class _Client(_Ends, WebSocketClientProtocol):  # type: ignore[misc]
    """The end that connects."""

    def frame(self, data: bytes) -> bytes:
        """A client's is masked (RFC 6455, 5.3)."""
        size = len(data)
        mask = secrets.token_bytes(4)
        pattern = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
        masked = (int.from_bytes(data, "little") ^ pattern).to_bytes(size, "little")
        return _head(size, 0x80) + mask + masked


def _head(size: int, masked: int) -> bytes:
    """The head of the one frame of a binary message."""
    if size < 126:
        return bytes((0x82, masked | size))
    if size < 1 << 16:
        return struct.pack(">BBH", 0x82, masked | 126, size)
    return struct.pack(">BBQ", 0x82, masked | 127, size)


def _short(reason: str) -> str:
    return reason.encode()[:MOST_REASON].decode("utf-8", "ignore")


def _limit(factory: Any, accept: Callable[[MessageSocket], object]) -> Any:
    factory.accept = accept
    factory.noisy = False
    factory.setProtocolOptions(
        maxFramePayloadSize=FIRST_MESSAGES,
        maxMessagePayloadSize=FIRST_MESSAGES,
        openHandshakeTimeout=OPEN_TIMEOUT,
        closeHandshakeTimeout=CLOSE_TIMEOUT,
        autoPingInterval=0,
        failByDrop=True,
        tcpNoDelay=True,
    )
    return factory


def serving(accept: Callable[[MessageSocket], object], *, reactor: Any) -> Any:
    """A factory for a listening endpoint. Compression is not offered: 256 KiB a connection.

    @param accept: takes a connection, and sets its receiver.
    """
    factory = WebSocketServerFactory(reactor=reactor)
    factory.protocol = _Server
    return _limit(factory, accept)


def connecting(
    url: str,
    accept: Callable[[MessageSocket], object],
    failed: Callable[[str], object],
    *,
    reactor: Any,
) -> Any:
    """A factory for a client's endpoint, which makes the transport TLS where it is.

    @param failed: is told why the opening handshake came to nothing.
    """
    factory: Any = WebSocketClientFactory(url, reactor=reactor)
    factory.protocol = _Client
    factory.failed = failed
    return _limit(factory, accept)
