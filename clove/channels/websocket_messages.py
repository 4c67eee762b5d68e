"""Whole messages over a WebSocket: what carries links, and version 1 of the relay's protocol.

Like L{clove.channels.websocket}, not for a kernel without a tunnel: Autobahn is not in its memory.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import txaio
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.types import ConnectionDeny
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger

from clove.channels.lean_websocket import LeanWebSocket, share_options, unmask
from clove.channels.message_socket import MessageReceiver, MessageSocket, printable
from clove.channels.websocket import bounded

__all__ = ["FIRST_MESSAGES", "MessageReceiver", "MessageSocket", "connecting", "serving"]

FIRST_MESSAGES: Final = 64 << 10
"""Bytes of a message before the other side is known."""
MOST_HEAD: Final = 16 << 10
"""Bytes of the opening handshake."""
CLOSE_TIMEOUT: Final = 5.0
"""Seconds in which a peer answers the closing handshake; then it is cut off."""


class _Ends(LeanWebSocket):
    """What the protocols of both sides do with Autobahn's events, which swallow exceptions."""

    log = txaio.make_logger(level="critical")  # type: ignore[attr-defined] # by autobahn.twisted
    """Autobahn's: strangers had it write two lines each."""
    _events = Logger(namespace=__name__)
    is_known = False
    failedByMe: bool
    transport: Any
    factory: Any
    sendMessage: Callable[[bytes, bool], None]
    sendPing: Callable[[], None]
    sendPong: Callable[..., None]
    dropConnection: Callable[..., None]
    _socket: MessageSocket | None = None
    host: str
    problem = ""
    """Why the transport has ended it, where Autobahn would only say that it did."""

    def dataReceived(self, data: bytes) -> None:
        """Twisted's. Autobahn's own makes text for a log line of every piece, logged or not."""
        if self.state == WebSocketServerProtocol.STATE_OPEN:
            self.read(data)
            return
        self._dataReceived(data)
        if len(self.data) > MOST_HEAD and self.state == WebSocketServerProtocol.STATE_CONNECTING:
            self.data = b""
            self.dropConnection(abort=True)  # Autobahn would keep all of it, and search it again

    @property
    def is_paused(self) -> bool:
        """The receiver wants nothing for now."""
        return self._socket is not None and self._socket.paused

    def send_text(self, text: bytes) -> None:
        """Send a text message; dropped where the connection is about to be lost."""
        if self.state == WebSocketServerProtocol.STATE_OPEN:
            self.sendMessage(text, False)

    def ask(self) -> None:
        """Send a ping, as L{send_text}."""
        if self.state == WebSocketServerProtocol.STATE_OPEN:
            self.sendPing()

    def send_binary(self, data: bytes) -> None:
        """Send a message in one frame; without what Autobahn does for every one of its own.

        With Autobahn's C{sendMessage} the way through a relay takes half as long again.
        """
        if self.state == WebSocketServerProtocol.STATE_OPEN:
            self.transport.write(self.frame(data))

    def frame(self, data: bytes) -> bytes:
        """A binary message on the wire."""
        raise NotImplementedError

    def onOpen(self) -> None:
        """The opening handshake is done."""
        self._socket = MessageSocket(self, self.host)
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
        vars(self).pop("is_closed", None)  # it has this protocol as its result
        words = printable(str(self.problem or reason or "the connection was cut"))
        if self.failedByMe and self.is_known:
            self._events.warn("{host} has broken a rule: {reason}", host=self.host, reason=words)
        if socket is not None:
            self._guarded(socket.lost, words)
        else:
            failed = getattr(self.factory, "failed", None)
            if failed is not None:
                self._guarded(failed, words)

    def _guarded(self, call: Callable[[Any], object], argument: object) -> None:
        try:
            call(argument)
        except Exception:
            self._events.failure("a WebSocket's receiver failed")
            self.dropConnection(abort=True)


class _Server(_Ends, WebSocketServerProtocol):  # type: ignore[misc,override]
    """The end that was connected to."""

    forget = staticmethod(lambda: None)

    def known(self) -> None:
        """It is known who is there."""
        self.is_known = True
        self.forget()
        self.forget = _Server.forget
        self.settle()

    def connectionMade(self) -> None:
        """A connection, of which nothing is known."""
        self.host = getattr(self.transport.getPeer(), "host", "")
        self.forget = self.factory.arrived(self.host, self.transport.abortConnection)
        WebSocketServerProtocol.connectionMade(self)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """It is gone."""
        self.forget()
        self.read_no_more()
        WebSocketServerProtocol.connectionLost(self, reason)

    def handshake(self) -> None:
        """Take in a request."""
        WebSocketServerProtocol.consumeData(self)

    def frame(self, data: bytes) -> bytes:
        """A server's is not masked."""
        return _head(len(data), 0) + data

    def onConnect(self, request: Any) -> None:
        """Browsers always send an Origin: none of their pages is to reach a hub.

        Some libraries of programs send one as well: the address that they connect to, which has no pages.
        """
        host = request.headers.get("host", "")
        origins = [request.headers.get(name) for name in ("origin", "sec-websocket-origin")]
        if not all(each is None or self.factory.is_own(each, host) for each in origins):
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "no browsers here")
        try:
            self._count(request.headers)
        except Exception:
            self._events.failure("a WebSocket's opening failed")
            raise ConnectionDeny(ConnectionDeny.INTERNAL_SERVER_ERROR, "a fault") from None

    def _count(self, headers: Mapping[str, str]) -> None:
        client = self.factory.client(self.host, headers)
        if client != self.host:  # it counts where it comes from, not where a proxy stands
            self.forget()
            self.host = client
            self.forget = self.factory.arrived(client, self.transport.abortConnection)


class _Client(_Ends, WebSocketClientProtocol):  # type: ignore[misc,override]
    """The end that connects."""

    masks = False

    def connectionMade(self) -> None:
        """To a relay."""
        self.host = getattr(self.transport.getPeer(), "host", "")
        WebSocketClientProtocol.connectionMade(self)

    def known(self) -> None:
        """Connections of this side are counted nowhere."""

    def connectionLost(self, reason: Any = connectionDone) -> None:
        """It is gone."""
        if type(reason.value).__module__.startswith("service_identity"):
            self.problem = "its certificate is for another host"
        self.read_no_more()
        WebSocketClientProtocol.connectionLost(self, reason)

    def handshake(self) -> None:
        """Take in the answer to a request."""
        WebSocketClientProtocol.consumeData(self)

    def frame(self, data: bytes) -> bytes:
        """A client's is masked (RFC 6455, 5.3)."""
        mask = secrets.token_bytes(4)
        return _head(len(data), 0x80) + mask + unmask(mask, data)


def _head(size: int, masked: int) -> bytes:
    """The head of the one frame of a binary message."""
    if size < 126:
        return bytes((0x82, masked | size))
    if size < 1 << 16:
        return struct.pack(">BBH", 0x82, masked | 126, size)
    return struct.pack(">BBQ", 0x82, masked | 127, size)


def _uncounted(address: str, close: Callable[[], object]) -> Callable[[], None]:
    return lambda: None


def _foreign(origin: str, host: str) -> bool:
    return False


def _direct(peer: str, headers: Mapping[str, str]) -> str:
    return peer


def serving(
    accept: Callable[[MessageSocket], object],
    *,
    reactor: Any,
    arrived: Callable[[str, Callable[[], object]], Callable[[], None]] = _uncounted,
    client: Callable[[str, Mapping[str, str]], str] = _direct,
    is_own: Callable[[str, str], bool] = _foreign,
) -> Any:
    """A factory for a listening endpoint. Compression is not offered: 256 KiB a connection.

    @param accept: takes a connection, and sets its receiver.
    @param arrived: is told of each connection its address and how to cut it off; what it gives is
        called when it is known who is there, or the connection is gone.
    @param client: the address of the client, by that of the peer and the headers (lower-case) of the
        handshake.
    @param is_own: whether an Origin is not a page's of a browser, by it and by Host; by default all are.
    """
    factory: Any = WebSocketServerFactory(reactor=reactor)
    factory.protocol = _Server
    factory.arrived = arrived
    factory.client = client
    factory.is_own = is_own
    factory.noisy = False
    bounded(factory, accept, FIRST_MESSAGES, CLOSE_TIMEOUT)
    share_options(factory)
    return factory


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
    factory.noisy = False
    return bounded(factory, accept, FIRST_MESSAGES, CLOSE_TIMEOUT)
