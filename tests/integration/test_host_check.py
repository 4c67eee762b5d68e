"""A certificate has to name the host that was meant, whoever has signed it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from clove.tunnel.dialling import endpoint_of
from clove.tunnel.target import Target
from tests.tls_identity import make_identity


class _Greeting(Protocol):
    """Sends a word and closes."""

    def connectionMade(self) -> None:
        """The word."""
        transport: Any = self.transport
        transport.write(b"hello")
        transport.loseConnection()


class _Heard(Protocol):
    """Gives what it has received, at the end."""

    def __init__(self) -> None:
        self.data = b""
        self.over: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give it."""
        self.over.callback(self.data)


@contextlib.contextmanager
def serving(directory: Path, *names: str) -> Iterator[tuple[int, str]]:
    """A server's port, and its certificate, for these names."""
    key, certificate = make_identity(directory, *names)
    options = ssl.DefaultOpenSSLContextFactory(key, certificate)
    net: Any = reactor
    factory = Factory.forProtocol(_Greeting)
    factory.noisy = False
    port = net.listenSSL(0, factory, options, interface="127.0.0.1")
    try:
        yield port.getHost().port, certificate
    finally:
        port.stopListening()


async def heard(url: str, certificate: str) -> bytes:
    """What a server says to one who trusts its certificate's authority."""
    factory = Factory.forProtocol(_Heard)
    factory.noisy = False
    endpoint = endpoint_of(reactor, Target.of(url, "one"), certificate)
    protocol: Any = await endpoint.connect(factory)
    said: bytes = await protocol.over
    return said


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("127.0.0.1",), b"hello"),
        (("192.0.2.1", "localhost"), b""),
        ((), b""),
    ],
    ids=["its own", "another's", "nobody's"],
)
async def test_a_certificate_names_the_host_that_was_meant(
    tmp_path: Path, names: tuple[str, ...], expected: bytes
) -> None:
    with serving(tmp_path, *names) as (port, certificate):
        assert await heard(f"wss://127.0.0.1:{port}", certificate) == expected


async def test_names_are_compared_as_well_as_addresses(tmp_path: Path) -> None:
    with serving(tmp_path, "localhost") as (port, certificate):
        assert await heard(f"wss://localhost:{port}", certificate) == b"hello"
    with serving(tmp_path, "other.test") as (port, certificate):
        assert await heard(f"wss://localhost:{port}", certificate) == b""
