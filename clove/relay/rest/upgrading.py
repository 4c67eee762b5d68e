"""From a request of HTTP to a WebSocket on its connection."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from clove.channels.message_socket import MessageSocket
from clove.channels.websocket_messages import serving

__all__ = ["upgrade", "wants_websocket"]


def wants_websocket(request: Any) -> bool:
    """Whether it asks for one."""
    return (request.getHeader("upgrade") or "").lower() == "websocket"


def upgrade(request: Any, reactor: Any, accept: Callable[[MessageSocket], object]) -> None:
    """Take the connection; what is wrong with the handshake the WebSocket answers itself.

    The request ends as one of a client that is gone, when the WebSocket is closed.

    @param accept: gets the WebSocket once it is open, and sets its receiver.
    """
    channel = request.channel
    protocol = serving(accept, reactor=reactor).buildProtocol(channel.transport.getPeer())
    lost = protocol.connectionLost

    def connection_lost(reason: Failure = connectionDone) -> None:
        lost(reason)
        channel.connectionLost(reason)

    protocol.connectionLost = connection_lost
    request.code = HTTPStatus.SWITCHING_PROTOCOLS
    transport, channel.transport = channel.transport, None
    transport.unregisterProducer()  # the HTTP channel was it
    if isinstance(transport, ProtocolWrapper):  # TLS
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
    transport.resumeProducing()
    protocol.dataReceived(_head(request))


def _head(request: Any) -> bytes:
    """The request again, for the WebSocket to read."""
    lines = [request.method + b" " + request.uri + b" HTTP/1.1"]
    for name, values in request.requestHeaders.getAllRawHeaders():
        if name.lower() != b"authorization":
            lines += [name + b": " + value for value in values]
    return b"\r\n".join([*lines, b"", b""])
