"""A WebSocket of the relay's that is open for long keeps little, and reads what Autobahn reads."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from clove.channels import websocket_messages as messages
from clove.channels.lean_websocket import SMALL, unmask
from clove.channels.message_socket import MessageSocket
from clove.client.websocket import Decoder, request

reactor: Any = global_reactor
MOST = 100_000


def piece(first: int, data: bytes) -> bytes:
    """A frame of a client: its first byte says what it is."""
    size = len(data)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    mask = b"\x01\x80\xff\x37"
    return head + mask + unmask(mask, data)


class Received:
    """What came."""

    def __init__(self) -> None:
        self.all: list[bytes | str] = []
        self.over: Deferred[str] = Deferred()

    def text_received(self, text: bytes) -> None:
        self.all.append(text.decode())

    def binary_received(self, data: bytes) -> None:
        self.all.append(data)

    def writable(self) -> None:
        pass

    def closed(self, reason: str) -> None:
        self.over.callback(reason)


class Open:
    """An open connection: this end is a plain socket.

    @ivar protocol: Autobahn's, of the other end.
    """

    def __init__(self, plain: socket.socket, accepted: MessageSocket) -> None:
        self.plain = plain
        self.received = Received()
        self.protocol: Any = accepted._protocol
        accepted.allow(MOST)
        accepted.receiver = self.received
        accepted.known()

    async def send(self, *data: bytes) -> list[bytes | str]:
        """Send, and close; what was received."""
        with contextlib.suppress(OSError):  # the other end may have closed it
            for each in data:
                await deferToThread(self.plain.sendall, each)
            await deferToThread(self.plain.shutdown, socket.SHUT_WR)
        await self.received.over
        return self.received.all


def connected(port: int) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head, accept = request("127.0.0.1", port)
    plain.sendall(head)
    decoder = Decoder(accept, MOST)
    while not decoder.is_open:
        decoder.feed(plain.recv(4096))
    return plain


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Open]:
    accepted: list[MessageSocket] = []
    factory = messages.serving(accepted.append, reactor=reactor)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    plain = await deferToThread(connected, port.getHost().port)
    try:
        there = Open(plain, accepted[0])
        yield there
        if not there.received.over.called:
            plain.close()
            await there.received.over
    finally:
        plain.close()
        await port.stopListening()


async def test_it_keeps_little() -> None:
    async with opened() as there:
        kept = vars(there.protocol)
        assert not [name for name in kept if name.startswith(("http_", "was", "autoPing"))]
        assert len(kept) < 12, sorted(kept)
        assert await there.send(piece(0x82, b"one"), piece(0x82, b"two")) == [b"one", b"two"]


SIZES = (0, 1, 3, 4, 125, 126, 127, 300, SMALL - 1, SMALL, SMALL + 1, 65535, 65536, MOST)


async def test_messages_of_all_sizes_come_in_order() -> None:
    dice = random.Random(7)
    sent = [dice.randbytes(size) for size in (*SIZES, *reversed(SIZES), *SIZES)]
    data = b"".join(piece(0x82, each) for each in sent)
    async with opened() as there:
        assert await there.send(data) == sent


@pytest.mark.parametrize("size", [1, 2, 5, 7, 131])
async def test_pieces_of_any_size_make_the_same_messages(size: int) -> None:
    fragmented = piece(0x02, b"a") + piece(0x89, b"ping") + piece(0x00, b"b") + piece(0x80, b"c")
    data = (
        piece(0x82, b"first") + fragmented + piece(0x81, "täxt".encode()) + piece(0x82, b"l" * 200)
    )
    async with opened() as there:
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert await there.send(*pieces) == [b"first", b"abc", "täxt", b"l" * 200]


@pytest.mark.parametrize(
    "bad",
    [
        b"\x82\x03abc",  # not masked
        piece(0x92, b"reserved"),
        piece(0x83, b"unknown"),
        piece(0x82, b"x" * (MOST + 1)),
        b"\x82\xfe\x00\x05\x00\x00\x00\x00abcde",  # longer than need be
        piece(0x81, b"\xff\xfe"),
    ],
)
async def test_what_breaks_the_rules_ends_it_after_what_came_before(bad: bytes) -> None:
    async with opened() as there:
        assert await there.send(piece(0x82, b"good") + bad + piece(0x82, b"late")) == [b"good"]


async def test_nothing_is_delivered_after_a_receiver_has_ended_it() -> None:
    async with opened() as there:
        socket_of_it = there.protocol._socket

        def end(data: bytes) -> None:
            there.received.all.append(data)
            socket_of_it.end("enough")

        there.received.binary_received = end  # type: ignore[method-assign]
        goodbye = piece(0x88, (1000).to_bytes(2, "big"))
        got = await there.send(piece(0x82, b"one") + piece(0x82, b"two") + goodbye)
        assert got == [b"one"]
        with contextlib.suppress(ConnectionError):
            while await deferToThread(there.plain.recv, 4096):
                pass


async def test_a_close_is_answered() -> None:
    async with opened() as there:
        await deferToThread(there.plain.sendall, piece(0x88, (1000).to_bytes(2, "big")))
        assert await deferToThread(there.plain.recv, 2) == b"\x88\x02"
