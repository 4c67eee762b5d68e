"""Every kind of channel against the one contract."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_twisted
from OpenSSL.SSL import Connection
from twisted.internet import reactor as global_reactor
from twisted.internet import ssl
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory
from zope.interface import implementer

from clove.channels import websocket_messages as messages
from clove.channels.channel import Channel
from clove.channels.link_receiver import LinkReceiver
from clove.channels.multiplex import Multiplex
from clove.channels.stream import StreamChannel
from clove.channels.unix import UnixChannel
from clove.channels.websocket import WebSocketChannel, connecting, serving
from clove.protocol import ChannelProtocol
from tests.contracts.channel import ChannelContract, End, Far, Pairs, until
from tests.integration.memory_pairs import MemoryPairs
from tests.tls_identity import make_identity

reactor: Any = global_reactor


class FarEnd:
    """The peer has a channel of the same kind."""

    def __init__(self) -> None:
        self.end: End | None = None

    def accept(self, channel: Channel, transport: object = None) -> None:
        self.end = End(channel)

    @property
    def _end(self) -> End:
        assert self.end is not None
        return self.end

    def say(self, data: bytes) -> None:
        self._end.sender.send(data)

    def end_sending(self) -> bool:
        return False

    def heard(self) -> bytes:
        return bytes(self._end.text)

    def stop_reading(self) -> None:
        self._end.channel.pause()

    def go_on_reading(self) -> None:
        self._end.channel.resume()

    def go(self) -> None:
        self._end.channel.abort()

    def is_gone(self) -> bool:
        return bool(self._end.lost_times)


def factory_of(accept: Callable[[Channel, object], object]) -> Factory:
    return Factory.forProtocol(lambda: ChannelProtocol(accept))


class UnixFarEnd(FarEnd):
    """One that can shut down its sending half."""

    def end_sending(self) -> bool:
        transport: Any = vars(self._end.channel)["_transport"]
        transport.socket.shutdown(socket.SHUT_WR)
        return True


class RealPairs:
    """Over real sockets.

    @param kind: the channels' class, to be sure of what is tested.
    """

    early = 0

    def __init__(self, kind: type, listen: Any, connect: Any, far: type[FarEnd] = FarEnd) -> None:
        self._far = far
        self._kind = kind
        self._listen, self._connect = listen, connect
        self._ports: list[Any] = []
        self._fars: list[FarEnd] = []
        self.channels: list[Channel] = []

    async def connect(self, accept: Callable[[Channel], object]) -> Far:
        def accepted(channel: Channel, transport: object) -> None:
            assert type(channel) is self._kind
            self.channels.append(channel)
            accept(channel)

        port = self._listen(accepted)
        self._ports.append(port)
        far = self._far()
        self._fars.append(far)
        await self._connect(port, far.accept)
        await until(lambda: far.end is not None and self.channels)
        return far

    async def stop(self) -> None:
        for channel in self.channels:
            channel.abort()
        for far in self._fars:
            far.go()
        await until(lambda: all(far.is_gone() for far in self._fars))
        for port in self._ports:
            await maybeDeferred(port.stopListening)


def unix(directory: str) -> RealPairs:
    paths = (f"{directory}/s{number}" for number in range(9))

    def listen(accept: Any) -> Any:
        return reactor.listenUNIX(next(paths), factory_of(accept))

    async def connect(port: Any, accept: Any) -> None:
        await UNIXClientEndpoint(reactor, port.getHost().name.decode()).connect(factory_of(accept))

    return RealPairs(UnixChannel, listen, connect, UnixFarEnd)


def tcp(
    make: Callable[[Any], Factory] = factory_of, far: Any = None, kind: Any = None
) -> RealPairs:
    def listen(accept: Any) -> Any:
        return reactor.listenTCP(0, make(accept), interface="127.0.0.1")

    async def connect(port: Any, accept: Any) -> None:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        await endpoint.connect((far or factory_of)(accept))

    return RealPairs(kind or StreamChannel, listen, connect)


def tls(
    identity: tuple[str, str],
    make: Callable[[Any], Factory] = factory_of,
    far: Any = None,
    kind: Any = None,
) -> RealPairs:
    context = ssl.DefaultOpenSSLContextFactory(*identity)

    def listen(accept: Any) -> Any:
        return reactor.listenSSL(0, make(accept), context, interface="127.0.0.1")

    async def connect(port: Any, accept: Any) -> None:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        options = ssl.CertificateOptions()  # any certificate will do here
        await wrapClientTLS(Anybody(options), endpoint).connect((far or factory_of)(accept))

    return RealPairs(kind or StreamChannel, listen, connect)


@implementer(IOpenSSLClientConnectionCreator)
class Anybody:
    """Checks no certificate."""

    def __init__(self, options: ssl.CertificateOptions) -> None:
        self._context = options.getContext()

    def clientConnectionForTLS(self, protocol: Any) -> Any:
        return Connection(self._context, None)


def websocket_server(accept: Any) -> Any:
    return serving(accept, reactor=reactor)


def websocket_client(accept: Any) -> Any:
    return connecting("ws://127.0.0.1/", accept, reactor=reactor)


class LinkPairs:
    """A channel of a link over a WebSocket; each pair has a link of its own."""

    early = 0

    def __init__(self) -> None:
        self._ports: list[Any] = []
        self._links: list[Multiplex] = []
        self._open = 0

    async def connect(self, accept: Callable[[Channel], object]) -> Far:
        near: list[Multiplex] = []

        def accepted(socket: messages.MessageSocket) -> None:
            near.append(self._link(socket, None))

        port = reactor.listenTCP(
            0, messages.serving(accepted, reactor=reactor), interface="127.0.0.1"
        )
        self._ports.append(port)
        far = FarEnd()

        def connected(socket: messages.MessageSocket) -> None:
            self._link(socket, lambda channel, said: far.accept(channel))

        url = f"ws://127.0.0.1:{port.getHost().port}/"
        factory = messages.connecting(url, connected, self._failed, reactor=reactor)
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(factory)
        await until(lambda: near)
        accept(near[0].open({}))
        await until(lambda: far.end is not None)
        return far

    def _failed(self, reason: str) -> None:
        raise AssertionError(reason)

    def _link(self, socket: messages.MessageSocket, accept: Any) -> Multiplex:
        socket.allow(1 << 17)
        link = Multiplex(reactor, accept=accept)
        self._open += 1
        socket.receiver = LinkReceiver(link, self._closed)
        link.attach(socket)
        self._links.append(link)
        return link

    def _closed(self, reason: str) -> None:
        self._open -= 1

    async def stop(self) -> None:
        for link in self._links:
            link.end("the test is over")
        await until(lambda: not self._open)
        for port in self._ports:
            await maybeDeferred(port.stopListening)


KINDS: dict[str, Callable[[str, tuple[str, str]], Pairs]] = {
    "unix": lambda directory, identity: unix(directory),
    "tcp": lambda directory, identity: tcp(),
    "tls": lambda directory, identity: tls(identity),
    "websocket": lambda directory, identity: tcp(
        websocket_server, websocket_client, WebSocketChannel
    ),
    "websocket over tls": lambda directory, identity: tls(
        identity, websocket_server, websocket_client, WebSocketChannel
    ),
    "multiplexed": lambda directory, identity: LinkPairs(),
    "memory": lambda directory, identity: MemoryPairs(),
}


class TestChannels(ChannelContract):
    """The contract, for each of them."""

    @pytest_twisted.async_yield_fixture(params=list(KINDS))  # type: ignore[untyped-decorator]
    async def pairs(self, request: Any, short_dir: str, tmp_path: Path) -> AsyncIterator[Pairs]:
        made = KINDS[request.param](short_dir, make_identity(tmp_path))
        yield made
        await made.stop()
