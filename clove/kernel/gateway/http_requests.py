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
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\x20-\x7e\t]*)?\r\n")
LONGEST_CHUNK_LINE: Final = 1024


class BadRequest(Exception):
    """Not a request that can be read in one way only."""


class Head(NamedTuple):
    """What matters of one request."""

    method: str
    target: str
    host: str
    length: int
    chunked: bool
    upgrade: bool


class Requests:
    """Follows a client's bytes from request to request.

    @param judge: called with each head before any of it is given out; may raise.
    @ivar first: the first request has not been seen yet.
    @ivar upgrading: the first request asks for another protocol, and nothing
        behind it is looked at before the answer is known.
    """

    def __init__(self, most: int, judge: Callable[[Head], None]) -> None:
        self._most = most
        self._judge = judge
        self._held = b""
        self._left = 0
        self._step: Callable[[], bytes | None] = self._head
        self.first = True
        self.upgrading = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the client; give those that may pass.

        @raise BadRequest: see the class.
        """
        self._held += data
        passed = []
        while self._held and not self.upgrading:
            piece = self._step()
            if piece is None:
                if len(self._held) > self._most:
                    raise BadRequest("its head is too long")
                break
            passed.append(piece)
        return b"".join(passed)

    def rest(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return held

    def _cut(self, size: int) -> bytes:
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def _head(self) -> bytes | None:
        end = self._held.find(b"\r\n\r\n", 0, self._most + 4)
        if end < 0:
            if b"\n" in self._held.replace(b"\r\n", b""):
                raise BadRequest("a line ends in a bare LF")
            return None
        head = read_head(self._held[:end])
        self._judge(head)
        self.upgrading = self.first and head.upgrade and not head.length and not head.chunked
        self.first = False
        if head.chunked:
            self._step = self._chunk
        elif head.length:
            self._left, self._step = head.length, self._body
        return self._cut(end + 4)

    def _body(self) -> bytes:
        piece = self._cut(self._left)
        self._left -= len(piece)
        if not self._left:
            self._step = self._head
        return piece

    def _chunk(self) -> bytes | None:
        match = _CHUNK.match(self._held)
        if match is None:
            if len(self._held) > LONGEST_CHUNK_LINE or b"\n" in self._held:
                raise BadRequest("a bad chunk")
            return None
        size = int(match[1], 16)
        if size:
            self._left, self._step = size, self._chunk_body
        else:
            self._step = self._trailer
        return self._cut(match.end())

    def _chunk_body(self) -> bytes:
        piece = self._cut(self._left)
        self._left -= len(piece)
        if not self._left:
            self._step = self._chunk_end
        return piece

    def _chunk_end(self) -> bytes | None:
        if not b"\r\n".startswith(self._held[:2]):
            raise BadRequest("a chunk is longer than it says")
        if len(self._held) < 2:
            return None
        self._step = self._chunk
        return self._cut(2)

    def _trailer(self) -> bytes | None:
        line, found, _ = self._held.partition(b"\r\n")
        if not found:
            if b"\n" in line:
                raise BadRequest("a line ends in a bare LF")
            return None
        if not line:
            self._step = self._head
        elif _FIELD.fullmatch(line) is None:
            raise BadRequest("a bad trailer field")
        return self._cut(len(line) + 2)


def read_head(text: bytes) -> Head:
    """A request's head, without the empty line at its end.

    @raise BadRequest: see L{BadRequest}.
    """
    first, *lines = text.split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        raise BadRequest("its first line is not that of an HTTP/1 request")
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
    return Head(
        match[1].decode("ascii"),
        match[2].decode("latin-1"),
        hosts[0].decode("latin-1"),
        int(lengths[0]) if lengths else 0,
        bool(codings),
        b"upgrade" in fields,
    )
