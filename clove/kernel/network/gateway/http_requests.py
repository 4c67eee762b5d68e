"""HTTP/1 requests on their way out: where each begins and which host it names. Pure.

Stricter than servers are, so that no server reads another request than the one
that was judged: what could be read in two ways is refused (RFC 9112).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["BadRequest", "Head", "Requests"]

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])")
_NOT_A_LINE: Final = "its first line is not that of an HTTP/1 request"
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\x20-\x7e\t]*)?\r\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
LONGEST_CHUNK_LINE: Final = 1024
FIELDS: Final = 256
"""Header fields of one request; more are refused."""
_NOT_IN_TRAILERS: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))
_OPAQUE: Final = frozenset((b"websocket", b"tcp"))
"""Protocols of an upgrade behind which no other host can be named to an HTTP server."""


class BadRequest(Exception):
    """Not a request that can be read in one way only."""


class Head(NamedTuple):
    """What matters of one request.

    @ivar upgrade: it asks for another protocol.
    @ivar opens_another: for one that names hosts itself, such as HTTP/2 (h2c) or TLS.
    """

    method: str
    target: str
    host: str
    length: int
    chunked: bool
    upgrade: bool
    opens_another: bool


class Requests:
    """Follows a client's bytes from request to request.

    @param judge: called with each head before any of it is given out; may raise.
    @ivar first: the first request has not been seen yet.
    @ivar upgrading: the first request asks for another protocol, and nothing
        behind it is looked at before the answer is known.
    @ivar opens_another: that protocol may name other hosts.
    """

    def __init__(self, most: int, judge: Callable[[Head], None]) -> None:
        self._most = most
        self._judge = judge
        self._held = b""
        self._at = 0  # so far it may pass
        self._left = 0  # of a body or chunk
        self._step: Callable[[], bool] = self._head
        self._behind = self._step  # the step behind a body or chunk
        self.first = True
        self.upgrading = False
        self.opens_another = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the client; give those that may pass.

        @raise BadRequest: see the class.
        """
        self._held = self._held[self._at :] + data
        self._at = 0
        while self._at < len(self._held) and not self.upgrading and self._step():
            pass
        if len(self._held) - self._at > self._most and not self.upgrading:
            raise BadRequest("its head is too long")
        return self._held[: self._at]

    def rest(self) -> bytes:
        """What was held back."""
        held, self._held = self._held[self._at :], b""
        self._at = 0
        return held

    # Each step moves past something, or is false when it needs more bytes for that.

    def _head(self) -> bool:
        end = self._held.find(b"\r\n\r\n", self._at, self._at + self._most + 4)
        if end < 0:
            if _BARE_LF.search(self._held, self._at):
                raise BadRequest("a line ends in a bare LF")
            line = self._held.find(b"\r\n", self._at)
            if line >= 0 and _LINE.fullmatch(self._held, self._at, line) is None:
                raise BadRequest(_NOT_A_LINE)
            return False
        head = read_head(self._held[self._at : end])
        self._judge(head)
        self.upgrading = self.first and head.upgrade and not head.length and not head.chunked
        self.opens_another = head.opens_another
        if head.opens_another and not self.upgrading:
            raise BadRequest("it asks for a protocol that can name other hosts")
        self.first = False
        self._at = end + 4
        if head.chunked:
            self._step = self._chunk
        elif head.length:
            self._left, self._behind, self._step = head.length, self._head, self._body
        return True

    def _body(self) -> bool:
        size = min(self._left, len(self._held) - self._at)
        self._at += size
        self._left -= size
        if not self._left:
            self._step = self._behind
        return True

    def _chunk(self) -> bool:
        match = _CHUNK.match(self._held, self._at)
        if match is None:
            line = self._held[self._at : self._at + LONGEST_CHUNK_LINE]
            if len(line) == LONGEST_CHUNK_LINE or b"\n" in line:
                raise BadRequest("a bad chunk")
            return False
        self._at = match.end()
        self._left, self._behind, self._step = int(match[1], 16), self._chunk_end, self._body
        if not self._left:
            self._step = self._trailer
        return True

    def _chunk_end(self) -> bool:
        end = self._held[self._at : self._at + 2]
        if not b"\r\n".startswith(end):
            raise BadRequest("a chunk is longer than it says")
        if len(end) < 2:
            return False
        self._at += 2
        self._step = self._chunk
        return True

    def _trailer(self) -> bool:
        end = self._held.find(b"\r\n", self._at, self._at + self._most)
        if end < 0:
            if _BARE_LF.search(self._held, self._at):
                raise BadRequest("a line ends in a bare LF")
            return False
        if end == self._at:
            self._step = self._head
        else:
            field = _FIELD.fullmatch(self._held, self._at, end)
            if field is None or field[1].lower() in _NOT_IN_TRAILERS:
                raise BadRequest("a bad trailer field")
        self._at = end + 2
        return True


def read_head(text: bytes) -> Head:
    """A request's head, without the empty line at its end.

    @raise BadRequest: see L{BadRequest}.
    """
    first, *lines = text.split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        raise BadRequest(_NOT_A_LINE)
    if len(lines) > FIELDS:
        raise BadRequest("it has too many header fields")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise BadRequest("a bad header field")
        fields.setdefault(field[1].lower(), []).append(field[2].strip(b" \t"))
    hosts = fields.get(b"host", [])
    if len(hosts) != 1:
        raise BadRequest("not exactly one Host")
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if len(lengths) > 1 or (lengths and codings):
        raise BadRequest("its length is said more than once")
    if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        raise BadRequest("a bad Content-Length")
    if codings and (match[3] == b"0" or [coding.lower() for coding in codings] != [b"chunked"]):
        raise BadRequest("a transfer coding other than chunked")
    upgrades = [one for value in fields.get(b"upgrade", []) for one in value.split(b",")]
    return Head(
        match[1].decode("ascii"),
        match[2].decode("latin-1"),
        hosts[0].decode("latin-1"),
        int(lengths[0]) if lengths else 0,
        bool(codings),
        bool(upgrades),
        not all(one.strip(b" \t").lower() in _OPAQUE for one in upgrades),
    )
