"""Records of other kinds than addresses (RFC 1035, 2782, 9460), as agents may have them. Pure.

What a name server says comes from outside: only records of the kind and name that were asked for are
taken, and written anew. Of HTTPS and SVCB nothing stays that leads elsewhere than the name itself,
or would hide where a connection goes: no address hints, no other target, no keys for Encrypted
ClientHello, no HTTP/3.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from clove.kernel.network.gateway.dns import HEADER, IN

__all__ = ["KINDS", "Record", "base_of", "read_records"]

CNAME, MX, TXT, SRV, SVCB, HTTPS = 5, 15, 16, 33, 64, 65
KINDS: Final = frozenset({MX, TXT, SRV, SVCB, HTTPS})
"""Those that are looked up."""
MOST: Final = 64
"""Records of one answer that are taken."""
HOPS: Final = 127
"""Pointers that one name is read through: a name has no more labels."""
LABELS: Final = 3
"""Labels with an underscore before a name (RFC 8552): `_sip._tcp` and a port."""
_PREFIX: Final = re.compile(r"_[a-z0-9-]{1,62}", re.IGNORECASE)
MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT = 0, 1, 2, 3
KEPT: Final = frozenset({MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT})
"""Parameters of HTTPS and SVCB that stay."""


class Record(NamedTuple):
    """One record.

    @ivar data: names in it are whole, without pointers.
    """

    ttl: int
    data: bytes


class _Malformed(Exception):
    """The message is none, or a part of it."""


def base_of(asked: str) -> str | None:
    """The host that rules are about in a name with a service before it; None: it is none such.

    `_sip._tcp.example.com` is about example.com.
    """
    labels = asked.split(".")
    count = 0
    while count < len(labels) and labels[count].startswith("_"):
        if count == LABELS or not _PREFIX.fullmatch(labels[count]):
            return None
        count += 1
    return ".".join(labels[count:]) or None


def read_records(message: bytes, kind: int) -> list[Record]:
    """The answers in a reply to one question, in the order in which they stand.

    Those of the name that was asked for, or that it stands for by CNAME. What is malformed, and all
    after it, is left out.
    """
    found: list[Record] = []
    try:
        asked, at = _name(message, HEADER.size)
        names = {asked.lower()}
        for owner, its_kind, ttl, start, end in _answers(message, at + 4):
            if owner.lower() not in names:
                continue
            if its_kind == CNAME:
                names.add(_name(message, start)[0].lower())
            elif its_kind == kind and len(found) < MOST:
                data = _data(message, kind, start, end, asked)
                if data is not None:
                    found.append(Record(ttl, data))
    except (_Malformed, struct.error, IndexError):
        pass
    return found


def _answers(message: bytes, at: int) -> Iterator[tuple[bytes, int, int, int, int]]:
    """Owner, kind, TTL, and where the data begins and ends, of each record of an answer."""
    count = HEADER.unpack_from(message)[3]
    for _ in range(count):
        owner, at = _name(message, at)
        kind, space, ttl, size = struct.unpack_from("!HHIH", message, at)
        start, at = at + 10, at + 10 + size
        if at > len(message):
            raise _Malformed
        if space == IN:
            yield owner, kind, min(ttl, 0x7FFFFFFF), start, at


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """A name with its pointers followed, as in a message, and where what comes after it is."""
    labels: list[bytes] = []
    after, size, earliest, hops = -1, 1, at, 0
    while True:
        length = message[at]
        if length >= 0xC0:
            hops += 1
            target = (length & 0x3F) << 8 | message[at + 1]
            after = at + 2 if after < 0 else after
            if target >= earliest or hops > HOPS:  # only ever back, so it ends, and soon
                raise _Malformed
            at = earliest = target
            continue
        if length > 63 or at + 1 + length > len(message):
            raise _Malformed
        at += 1 + length
        if length == 0:
            break
        labels.append(message[at - length - 1 : at])
        size += length + 1
        if size > 255:
            raise _Malformed
    return b"".join(labels) + b"\0", at if after < 0 else after


def _data(message: bytes, kind: int, start: int, end: int, asked: bytes) -> bytes | None:
    """The data of a record written anew; None: agents do not get it."""
    if kind == TXT:
        return message[start:end]
    if kind in (HTTPS, SVCB):
        return _service(message[start:end], asked)
    fixed = 2 if kind == MX else 6
    name, after = _name(message, start + fixed)
    if after != end:
        raise _Malformed
    return message[start : start + fixed] + name


def _service(data: bytes, asked: bytes) -> bytes | None:
    """HTTPS or SVCB for the name itself, with what may stay of its parameters."""
    (priority,) = struct.unpack_from("!H", data)
    target, at = _name(data, 2)
    if priority == 0 or target.lower() not in (b"\0", asked.lower()):
        return None
    kept: dict[int, bytes] = {}
    while at < len(data):
        key, size = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            raise _Malformed
        at += 4 + size
        if key in KEPT:
            kept[key] = _protocols(value) if key == ALPN else value
    needed = kept.get(MANDATORY, b"")
    if any(key not in kept for (key,) in struct.iter_unpack("!H", needed)):
        return None
    if not kept.get(ALPN, b"x") or (NO_DEFAULT_ALPN in kept and ALPN not in kept):
        return None
    parameters = (struct.pack("!HH", key, len(value)) + value for key, value in kept.items())
    return struct.pack("!H", priority) + b"\0" + b"".join(parameters)


def _protocols(value: bytes) -> bytes:
    """A list of protocols without those that need UDP."""
    found, at = b"", 0
    while at < len(value):
        size = value[at]
        name = value[at + 1 : at + 1 + size]
        if len(name) != size or size == 0:
            raise _Malformed
        if not name.startswith(b"h3"):
            found += value[at : at + 1 + size]
        at += 1 + size
    return found
