"""The server's name in the first bytes of TLS (RFC 8446, RFC 6066). Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["BadHello", "Hello", "read_hello"]

HANDSHAKE: Final = 22
CLIENT_HELLO: Final = 1
SERVER_NAME: Final = 0
HOST_NAME: Final = 0
ENCRYPTED_HELLO: Final = 0xFE0D
RECORD: Final = 1 << 14
RECORDS: Final = 32
"""Records that a ClientHello may come in; one needs more than one only if it is large."""


class BadHello(Exception):
    """Not a ClientHello."""


class Hello(NamedTuple):
    """What can be seen of a ClientHello.

    @ivar name: the server's, as it was sent; "" if none was.
    @ivar encrypted: there is another, hidden ClientHello in it (ECH).
    """

    name: str
    encrypted: bool


class _Reader:
    """Takes numbers and vectors off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """@raise BadHello: there are not so many bytes."""
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise BadHello("cut off")
        self._at += size
        return piece

    def number(self, size: int) -> int:
        """A big-endian number."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """As many bytes as a number of C{size} bytes says."""
        return self.take(self.number(size))

    @property
    def more(self) -> bool:
        """Some bytes are left."""
        return self._at < len(self._data)


def read_hello(data: bytes) -> Hello | None:
    """Look at the first bytes that a client sent; None while more are needed.

    @raise BadHello: it is none, or a name is there twice or makes no sense.
    """
    handshake = b""
    at = 0
    for _ in range(RECORDS):
        header = data[at : at + 5]
        if (header[:1] and header[0] != HANDSHAKE) or (header[1:2] and header[1] != 3):
            raise BadHello("not a TLS handshake")
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:], "big")
        if not 0 < length <= RECORD:
            raise BadHello("a record of a bad length")
        handshake += data[at + 5 : at + 5 + length]
        if handshake[:1] and handshake[0] != CLIENT_HELLO:
            raise BadHello("not a ClientHello")
        if len(handshake) >= 4:
            whole = 4 + int.from_bytes(handshake[1:4], "big")
            if len(handshake) >= whole:
                return _read(handshake[4:whole])
        at += 5 + length
        if at > len(data):
            return None
    raise BadHello("in too many records")


def _read(body: bytes) -> Hello:
    reader = _Reader(body)
    reader.take(2 + 32)  # version, random
    reader.vector(1)  # session
    reader.vector(2)  # cipher suites
    reader.vector(1)  # compression
    if not reader.more:
        return Hello("", False)
    extensions = _Reader(reader.vector(2))
    if reader.more:
        raise BadHello("something after the extensions")
    seen: dict[int, bytes] = {}
    while extensions.more:
        kind = extensions.number(2)
        value = extensions.vector(2)
        if kind in seen:
            raise BadHello("an extension is there twice")
        seen[kind] = value
    name = _server_name(seen[SERVER_NAME]) if SERVER_NAME in seen else ""
    return Hello(name, ENCRYPTED_HELLO in seen)


def _server_name(value: bytes) -> str:
    reader = _Reader(value)
    names = _Reader(reader.vector(2))
    kind = names.number(1)
    name = names.vector(2)
    if kind != HOST_NAME or names.more or reader.more or not name:
        raise BadHello("not exactly one host name")
    return name.decode("latin-1")
