"""Which protocol a client begins with, on a port that allows any. Pure.

What a server could read as HTTP or TLS counts as that, however odd it is: it is
judged by their rules then, which are strict, or refused. The rest is none of
these to any server.
"""

from __future__ import annotations

import enum
import re
from typing import Final

__all__ = ["Kind", "blank_lines", "harmless", "kind_of"]


class Kind(enum.Enum):
    """A protocol."""

    TLS = "TLS"
    HTTP = "HTTP"
    PROXY = "PROXY"
    OTHER = "other"


RECORDS: Final = frozenset(range(0x14, 0x19))
"""Types of TLS records: change_cipher_spec, alert, handshake, application_data, heartbeat."""
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HTTP: Final = re.compile(rb"HTTP/", re.IGNORECASE)
_BLANK: Final = re.compile(rb"(?:[ \t]*[\r\n])+")
_END: Final = re.compile(rb"[\r\n]|HTTP/", re.IGNORECASE)
_GET: Final = re.compile(rb"GET[\s\x1c-\x1f\x85\xa0]")
"""How a request of HTTP/0.9 begins, which names no version."""
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_METHODS: Final = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PRI".split())
LONGEST_METHOD: Final = 8 << 10
"""Bytes; what goes on for longer without a blank is no method to any server."""
_SPACES: Final = frozenset(b" \t")
_VERSION: Final = re.compile(rb"\sHTTP/[0-9.]+[ \t]*\r?\Z", re.IGNORECASE)
_PROXY: Final = (b"PROXY ", b"\0\r\nQUIT\n")
"""How the PROXY protocol begins, versions 1 and 2 (of that behind its blank lines): a server that
takes it passes over it, so that anything may follow."""


def blank_lines(data: bytes) -> int:
    """Bytes of empty lines before anything else, which many servers pass over."""
    found = _BLANK.match(data)
    return found.end() if found else 0


def kind_of(data: bytes) -> Kind | None:
    """What these first bytes are, behind L{blank_lines}; None while that is open."""
    if not data:
        return None
    if data.startswith(_PROXY):
        return Kind.PROXY
    if data[0] == 0 and any(one.startswith(data) for one in _PROXY):
        return None
    if data[0] in RECORDS:
        if len(data) == 1 and data[0] != 0x16:
            return None
        return Kind.TLS if data[0] == 0x16 or data[1] == 3 else Kind.OTHER
    if 0x80 <= data[0] <= 0xC0:
        return _compatible(data)
    return _text(data)


def harmless(data: bytes) -> int:
    """Bytes of an undecided start that may go on before it is decided: text, up to where a
    version or the end of a line might be. No server acts on these, and one that waits for a
    word without an end of line gets it.
    """
    if data[0] in RECORDS or 0x80 <= data[0] <= 0xC0:
        return 0
    odd = _END.search(data)
    return odd.start() if odd else len(data)


def _compatible(data: bytes) -> Kind | None:
    """A ClientHello in the form of SSL 2 (RFC 5246, appendix E.2): length, 1, version."""
    if data[2:3] not in (b"", b"\1") or data[3:4] not in (b"", b"\3", b"\0"):
        return Kind.OTHER
    return Kind.TLS if len(data) > 3 else None


def _text(data: bytes) -> Kind | None:
    start = len(data) - len(data.lstrip(b" \t"))
    token = _TOKEN.match(data, start)
    if token is None:
        return _odd(data[start:]) if start < len(data) else None
    if len(token[0]) > LONGEST_METHOD:
        return Kind.OTHER
    after = data[token.end() : token.end() + 2]
    if not after:
        return None
    known = token[0].upper() in _METHODS
    if after == b"\r" and known:
        return None
    if after[0] not in _SPACES and not (known and after[:1] != b"\n" and after != b"\r\n"):
        return _odd(data[start:])
    end = data.find(b"\n", start)
    line = data[start:] if end < 0 else data[start:end]
    if not known and _BINARY.search(line):
        return Kind.OTHER
    if end < 0:
        return None
    return Kind.HTTP if _HTTP.search(line) or _GET.match(line) else Kind.OTHER


def _odd(data: bytes) -> Kind | None:
    """Text that begins as no method does. Some servers do not mind, where the rest is a request's."""
    line, end, _ = data.partition(b"\n")
    if len(line) > LONGEST_METHOD or _BINARY.search(line):
        return Kind.OTHER
    if not end and not line.endswith(b"\r"):
        return None
    return Kind.HTTP if _VERSION.search(line) else Kind.OTHER
