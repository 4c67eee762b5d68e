"""Frames over TLS: everything goes through the transport, and nothing goes out in clear."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from clove.framing import Frame, FrameDecoder, Opcode, encode
from clove.kernel.connection import KernelConnection
from clove.kernel.connection_limits import ConnectionLimits
from clove.protocol import FrameProtocol
from tests.unit.kernel.connection_peer import Peer

HANDSHAKE = (0x14, 0x15, 0x16, 0x17)
"""Types of TLS records (RFC 8446, 5.1)."""


class Kernels(Factory):
    """Makes one connection, whose peer nobody knows."""

    noisy = False
    principal = None
    end: Any = None

    def buildProtocol(self, addr: object) -> Any:
        self.end.factory = self
        return self.end


class Echo(FrameProtocol):
    """Sends back what it is sent; counts the times that the peer was slow."""

    slow = 0

    def framesReceived(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.send(encode(*frame))
            self.slow += self.congested

    def drained(self) -> None:
        super().drained()
        self.resume_reading()


class Client(Protocol):
    """Speaks TLS itself and keeps what came over the wire.

    @ivar wire: bytes as the wire had them.
    @ivar text: what they were.
    """

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)
        self.wire, self.text = bytearray(), bytearray()
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
        transport.write(self._out.read())

    def say(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def records(self) -> list[int]:
        """The types of the records on the wire, which must be nothing else."""
        at, kinds = 0, []
        while at < len(self.wire):
            kinds.append(self.wire[at])
            at += 5 + int.from_bytes(self.wire[at + 3 : at + 5], "big")
        assert at == len(self.wire)
        return kinds


async def until(there: Callable[[], bool]) -> None:
    while not there():
        await deferLater(reactor, 0.001)


@pytest.fixture
def identity(tmp_path: Path) -> tuple[str, str]:
    """Files of a key and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clove.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "certificate").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(tmp_path / "key"), str(tmp_path / "certificate")


async def connected(identity: tuple[str, str], end: Protocol) -> tuple[Any, Client]:
    """A port that serves one connection over TLS, and the client of it."""
    whole: Any = reactor
    factory = Kernels()
    factory.end = end
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


async def test_what_a_frame_protocol_sends_is_encrypted(identity: tuple[str, str]) -> None:
    port, client = await connected(identity, Echo())
    frame = encode(7, 0, b"a secret of ours")
    client.say(frame)
    await until(lambda: len(client.text) == len(frame))
    assert client.text == frame
    assert b"secret" not in client.wire
    assert set(client.records()) <= set(HANDSHAKE)
    await close(port, client)


async def test_a_peer_that_reads_slowly_gets_everything_in_its_order(
    identity: tuple[str, str],
) -> None:
    echo = Echo(1 << 24)
    port, client = await connected(identity, echo)
    transport: Any = client.transport
    frames = b"".join(encode(1, 0, bytes([number]) * (1 << 20)) for number in range(12))
    transport.pauseProducing()
    client.say(frames)
    await until(lambda: echo.slow > 0)
    assert echo.unsent > 0
    transport.resumeProducing()
    await until(lambda: len(client.text) == len(frames))
    assert client.text == frames
    assert echo.unsent == 0
    await close(port, client)


async def test_the_kernels_connection_over_tls_says_nothing_in_clear(
    identity: tuple[str, str],
) -> None:
    peer = Peer()
    limits = ConnectionLimits()
    connection = KernelConnection(peer.answers, peer.sessions, limits)  # type: ignore[arg-type]
    port, client = await connected(identity, connection)
    client.say(encode(0, Opcode.NOOP, b"still there?"))
    decoder = FrameDecoder()
    await until(lambda: client.lost or bool(client.text))
    assert decoder.feed(bytes(client.text))
    assert set(client.records()) <= set(HANDSHAKE)
    for word in (b"TNGA", b"success", b"still there"):
        assert word not in client.wire
    await close(port, client)
