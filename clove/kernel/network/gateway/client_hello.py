"""What can be seen of a TLS handshake: the server's name, and whether it is asked again. Pure.

RFC 8446 (TLS 1.3), RFC 5246 (1.2), RFC 6066 (server_name).
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

__all__ = ["BadHello", "Hello", "ServerAnswer", "read_answer", "read_hello", "skip_others"]

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
SERVER_NAME: Final = 0
HOST_NAME: Final = 0
ECH: Final = 0xFE0D
"""encrypted_client_hello (RFC 9849). Browsers send decoys of it that look like one."""
ECH_OUTER: Final = 0
HIDING: Final = frozenset((*range(0xFE08, ECH), 0xFF02, 0xFF03, 0xFFCE))
"""Earlier drafts of ECH, and ESNI before them: no client sends those as decoys today."""
RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446, 4.1.3)."""
RECORD: Final = 1 << 14
RECORDS: Final = 32
"""Records that a ClientHello may come in; one needs more than one only if it is large."""


class BadHello(Exception):
    """Not a ClientHello."""


class Hello(NamedTuple):
    """What can be seen of a ClientHello.

    @ivar name: the server's, as it was sent; "" if none was.
    @ivar encrypted: there is another ClientHello in it, hidden (ECH), or a decoy of one.
    @ivar size: bytes of the records that it came in.
    """

    name: str
    encrypted: bool
    size: int = 0


class ServerAnswer(enum.Enum):
    """What a server says to a ClientHello."""

    HELLO = "it goes on"
    RETRY = "it wants another ClientHello"
    NO_TLS = "it speaks no TLS"


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

    @raise BadHello: it is none, a name is there twice or makes no sense, or is hidden by a draft.
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
            if len(handshake) > whole:
                raise BadHello("something behind the ClientHello")
            if len(handshake) == whole:
                return _read(handshake[4:])._replace(size=at + 5 + length)
        at += 5 + length
        if at > len(data):
            return None
    raise BadHello("in too many records")


def skip_others(data: bytes) -> int:
    """Bytes of the whole records at the start that are none of a handshake.

    Before its second ClientHello a client may send a change_cipher_spec, and early
    data that the server passes over.

    @raise BadHello: these are no records.
    """
    at = 0
    while len(data) - at >= 5 and data[at] != HANDSHAKE:
        if data[at] not in (CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA) or data[at + 1] != 3:
            raise BadHello("not TLS")
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if length > RECORD + 256:
            raise BadHello("a record of a bad length")
        if len(data) - at < 5 + length:
            break
        at += 5 + length
    return at


def read_answer(data: bytes) -> ServerAnswer | None:
    """Look at the first bytes that a server sent; None while more are needed."""
    handshake = b""
    at = 0
    while len(handshake) < 6 + len(RETRY):
        header = data[at : at + 5]
        if header[1:2] not in (b"", b"\3") or (
            header and header[0] not in (CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE)
        ):
            return ServerAnswer.NO_TLS
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:], "big")
        if header[0] == HANDSHAKE:
            handshake += data[at + 5 : at + 5 + length]
            if handshake[:1] not in (b"", bytes((SERVER_HELLO,))):
                return ServerAnswer.NO_TLS
        at += 5 + length
        if at > len(data) and len(handshake) < 6 + len(RETRY):
            return None
    asks = handshake[6 : 6 + len(RETRY)] == RETRY
    return ServerAnswer.RETRY if asks else ServerAnswer.HELLO


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
    if not HIDING.isdisjoint(seen):
        raise BadHello("a draft of an encrypted ClientHello, which hides the name")
    name = _server_name(seen[SERVER_NAME]) if SERVER_NAME in seen else ""
    if ECH in seen:
        _check_outer(seen[ECH])
    return Hello(name, ECH in seen)


def _check_outer(value: bytes) -> None:
    """Hold an encrypted ClientHello to the form that one outside of the encryption has."""
    reader = _Reader(value)
    if reader.number(1) != ECH_OUTER:
        raise BadHello("an inner ClientHello that is not encrypted")
    reader.take(2 + 2 + 1)  # key derivation, cipher, configuration
    reader.vector(2)  # the client's key; empty in a second ClientHello
    if not reader.vector(2) or reader.more:
        raise BadHello("an encrypted ClientHello of a bad length")


def _server_name(value: bytes) -> str:
    reader = _Reader(value)
    names = _Reader(reader.vector(2))
    kind = names.number(1)
    name = names.vector(2)
    if kind != HOST_NAME or names.more or reader.more or not name:
        raise BadHello("not exactly one host name")
    return name.decode("latin-1")
