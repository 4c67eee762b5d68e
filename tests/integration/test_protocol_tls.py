"""Frames over TLS: everything goes through the transport, and nothing goes out in clear."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from clove.channels.channel import Channel
from clove.channels.stream import StreamChannel
from clove.framing import TAG, FrameDecoder, Opcode, encode
from clove.kernel.connection.connection import KernelConnection
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import Credentials
from clove.kernel.peers import peer_of
from clove.messages import Reply
from clove.protocol import ChannelProtocol
from tests.frame_end import FrameEnd
from tests.tls_identity import make_identity
from tests.unit.kernel.connection_peer import Peer

HANDSHAKE = (0x14, 0x15, 0x16, 0x17)
"""Types of TLS records (RFC 8446, 5.1)."""
APPLICATION_DATA = 0x17


class Client(Protocol):
    """Speaks TLS itself and keeps what came over the wire.

    @ivar wire: bytes as the wire had them, from the server.
    @ivar said: and to it.
    @ivar text: what they were.
    """

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self.wire, self.said, self.text = bytearray(), bytearray(), bytearray()
        self.secure = self.lost = False

    def connectionMade(self) -> None:
        self._go_on()

    def dataReceived(self, data: bytes) -> None:
        self.wire += data
        self._in.write(data)
        self._go_on()

    def _go_on(self) -> None:
        try:
            if not self.secure:
                self._tls.do_handshake()
                self.secure = True
            while data := self._tls.read(1 << 16):
                self.text += data
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        self._flush()

    def _flush(self) -> None:
        transport: Any = self.transport
        data = self._out.read()
        self.said += data
        transport.write(data)

    def say(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def records(self) -> list[int]:
        """The types of the records that came."""
        return records(self.wire)


def records(wire: bytes | bytearray) -> list[int]:
    """The types of the TLS records on a wire, on which must be nothing else."""
    at, kinds = 0, []
    while at < len(wire):
        kinds.append(wire[at])
        at += 5 + int.from_bytes(wire[at + 3 : at + 5], "big")
    assert at == len(wire)
    return kinds


class SecretReply(Reply, frozen=True):
    """Bears what nobody else is to read."""

    text: str = ""


async def until(there: Callable[[], bool]) -> None:
    while not there():
        await deferLater(reactor, 0.001)


@pytest.fixture
def identity(tmp_path: Path) -> tuple[str, str]:
    return make_identity(tmp_path)


async def connected(
    identity: tuple[str, str], accept: Callable[[Channel, object], object]
) -> tuple[Any, Client]:
    """A port that serves over TLS, and a client of it."""
    whole: Any = reactor
    factory = Factory.forProtocol(lambda: ChannelProtocol(accept))
    context = DefaultOpenSSLContextFactory(*identity)
    port = whole.listenSSL(0, factory, context, interface="127.0.0.1")
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    client = await connectProtocol(endpoint, Client())
    await until(lambda: client.secure)
    return port, client


async def close(port: Any, client: Client) -> None:
    transport: Any = client.transport
    transport.abortConnection()
    await until(lambda: client.lost)
    await maybeDeferred(port.stopListening)


async def test_a_peer_that_reads_slowly_gets_everything_in_its_order(
    identity: tuple[str, str],
) -> None:
    ends: list[FrameEnd] = []
    port, client = await connected(
        identity, lambda channel, _: ends.append(FrameEnd(channel, max_payload=1 << 24))
    )
    transport: Any = client.transport
    frames = b"".join(encode(1, 0, bytes([number]) * (1 << 20)) for number in range(12))
    transport.pauseProducing()
    client.say(frames)
    await until(lambda: bool(ends) and ends[0].slow > 0)
    assert ends[0].sender.unsent > 0
    transport.resumeProducing()
    await until(lambda: len(client.text) == len(frames))
    assert client.text == frames
    assert ends[0].sender.unsent == 0
    await close(port, client)


class Kernel:
    """Serves every channel as the kernel does; its peer is verified before."""

    def __init__(self, identify: Callable[[], Credentials]) -> None:
        self.peer = Peer()
        self.made: list[KernelConnection] = []
        self._identify = identify

    def accept(self, channel: Channel, transport: object) -> None:
        assert type(channel) is StreamChannel
        answers: Any = self.peer.answers
        principals, limits = self.peer.principals, ConnectionLimits()
        connection = KernelConnection(answers, principals, limits, channel)
        self.made.append(connection)
        connection.open(self._identify)


def in_clear(client: Client) -> bytes:
    """All that anybody between the two could read, both ways, after the handshake's first flight."""
    return bytes(client.wire + client.said)


class Secrets:
    """Bytes that are told over a connection, and must not be seen on its wire."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def next(self) -> bytes:
        self.told.append(os.urandom(16))
        return self.told[-1]


def say(client: Client, opcode: int, payload: bytes, tag: int | None = None) -> None:
    client.say(encode(0, opcode, payload if tag is None else TAG.pack(tag) + payload))


async def converse(kernel: Kernel, client: Client, secrets: Secrets) -> None:
    """Requests of both versions, a late reply, a partial one, a push and an error: 7 frames."""
    answers = kernel.peer.answers
    waiting = answers.waiting
    say(client, Opcode.NOOP, secrets.next())
    say(client, 3, secrets.next())
    await until(lambda: bool(waiting))
    waiting[0].callback(secrets.next())  # late, on version 1
    say(client, Opcode.HELLO, b'{"protocol_version":2}')
    say(client, 3, secrets.next(), 1)
    await until(lambda: len(waiting) == 2)
    answers.streams[-1](SecretReply(text=secrets.next().hex()))
    waiting[1].callback(secrets.next())
    assert kernel.made[0].push(SecretReply(text=secrets.next().hex()))
    say(client, Opcode.CANCEL, b"", 2)  # an error


async def overfill(kernel: Kernel, client: Client, secrets: Secrets) -> None:
    """Thirty requests whose replies are more than is on its way at once, to a slow reader."""
    transport: Any = client.transport
    transport.pauseProducing()
    for tag in range(3, 33):
        say(client, 2, secrets.next() * 20_000, tag)
    await until(lambda: kernel.made[0].sender.congested)
    assert kernel.made[0].sender.unsent > 0
    transport.resumeProducing()
    await until(lambda: secrets.told[-1] * 20_000 in client.text)


async def test_the_kernels_protocol_over_tls_says_nothing_in_clear(
    identity: tuple[str, str],
) -> None:
    """Requests of both versions, partial replies, pushes, errors, and a reader who is slow."""
    kernel, secrets = Kernel(Peer.own), Secrets()
    port, client = await connected(identity, kernel.accept)
    handshake = len(client.wire), len(client.said)
    await converse(kernel, client, secrets)
    await overfill(kernel, client, secrets)
    decoder = FrameDecoder(1 << 20)
    frames = decoder.feed(bytes(client.text))
    assert decoder.pending == 0
    assert len(frames) == 2 + 1 + 3 + 1 + 30

    assert set(client.records()) <= set(HANDSHAKE)
    assert set(records(client.said)) <= set(HANDSHAKE)
    # What came after the handshake is application data alone (TLS 1.3), and shows nothing of ours.
    assert set(records(client.wire[handshake[0] :])) == {APPLICATION_DATA}
    assert set(records(client.said[handshake[1] :])) == {APPLICATION_DATA}
    clear = in_clear(client)
    in_hexadecimal = [secret.hex().encode() for secret in secrets.told]
    named = (b"TNGA", b"success", b"protocol_version", b"code")
    for word in (*secrets.told, *in_hexadecimal, *named):
        assert word not in clear
        assert word[:8] not in clear
    await close(port, client)
    await until(lambda: not kernel.made[0].principal.connections)
    kernel.peer.principals.stop()


async def test_a_stranger_is_refused_over_tls_and_not_in_clear(
    identity: tuple[str, str],
) -> None:
    kernel = Kernel(lambda: peer_of(object()))
    port, client = await connected(identity, kernel.accept)
    await until(lambda: client.lost or bool(client.text))
    [frame] = FrameDecoder().feed(bytes(client.text))
    assert b"permission_denied" in frame.payload
    assert set(client.records()) <= set(HANDSHAKE)
    assert b"denied" not in client.wire
    await close(port, client)
