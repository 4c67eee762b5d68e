"""TLS records and ClientHellos as bytes, and what judges them."""

from __future__ import annotations

from clove.kernel.network.gateway.client_hello import RETRY
from clove.kernel.network.gateway.inspection import Inspection
from clove.policy import parse

RULES = parse(None, {"can_http": True, "allowed_domains": ["api.test", "api.test:8443"]})


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def record(data: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 3)) + vector(2, data)


def names(*listed: bytes, kind: int = 0) -> bytes:
    """A server_name extension."""
    entries = b"".join(bytes((kind,)) + vector(2, name) for name in listed)
    return b"\0\0" + vector(2, vector(2, entries))


def client_hello(extensions: bytes) -> bytes:
    body = b"\3\3" + bytes(32) + vector(1, b"") + vector(2, b"\x13\x01") + vector(1, b"\0")
    return b"\1" + vector(3, body + vector(2, extensions))


def encrypted(
    payload: bytes = bytes(144), key: bytes = bytes(32), kind: int = 0, code: int = 0xFE0D
) -> bytes:
    """An encrypted_client_hello extension, real or a decoy: nobody between can tell."""
    value = bytes((kind,)) + b"\0\1\0\1\x2a" + vector(2, key) + vector(2, payload)
    return code.to_bytes(2, "big") + vector(2, value)


def hello(name: bytes = b"api.test") -> bytes:
    return record(client_hello(names(name)))


def server_hello(random: bytes = bytes(32)) -> bytes:
    return b"\2" + vector(3, b"\3\3" + random + vector(1, b"") + b"\x13\x01\0" + vector(2, b""))


RETRIES = record(server_hello(RETRY))
GOES_ON = record(server_hello())
CCS = record(b"\1", 20)
EARLY = record(b"early data", 23)


def inspection(port: int = 8443, most: int = 4096) -> Inspection:
    return Inspection("api.test", port, RULES, most)


def retried() -> Inspection:
    """A client that was asked for a second ClientHello."""
    inspected = inspection()
    assert inspected.feed(hello()) == hello()
    assert inspected.waiting
    assert inspected.answered(RETRIES) == b""
    assert not inspected.waiting
    assert not inspected.transparent
    return inspected
