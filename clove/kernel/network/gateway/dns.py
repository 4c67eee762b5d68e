"""DNS messages (RFC 1035): one question read, one answer written. Pure."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = [
    "AAAA",
    "NAME_ERROR",
    "NOT_IMPLEMENTED",
    "NO_ERROR",
    "REFUSED",
    "SERVER_FAILURE",
    "A",
    "BadQuery",
    "Question",
    "answer",
    "answer_records",
    "read_question",
    "wants_more",
]

A: Final = 1
AAAA: Final = 28
IN: Final = 1
NO_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = 0, 2, 3, 4, 5

HEADER: Final = struct.Struct("!6H")
RESPONSE, AUTHORITATIVE, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
TRUNCATED: Final = 0x0200
OPCODE: Final = 0x7800


class BadQuery(Exception):
    """No DNS query that could be answered at all."""


class Question(NamedTuple):
    """One question.

    @ivar name: as it was asked, labels with dots between, without a dot at the end.
    @ivar raw: its bytes in the message.
    """

    number: int
    flags: int
    name: str
    kind: int
    raw: bytes


def read_question(message: bytes) -> Question:
    """The one question of a query; additional records (EDNS) are not looked at.

    @raise BadQuery: anything else.
    """
    if len(message) < HEADER.size:
        raise BadQuery("too short")
    number, flags, questions, _, _, _ = HEADER.unpack_from(message)
    if flags & (RESPONSE | OPCODE) or questions != 1:
        raise BadQuery("not a query with one question")
    labels = []
    at = HEADER.size
    while True:
        if at >= len(message):
            raise BadQuery("cut off")
        length = message[at]
        at += 1
        if length == 0:
            break
        if length > 63 or at + length > len(message):  # a pointer makes no sense in a question
            raise BadQuery("a bad label")
        labels.append(message[at : at + length])
        at += length
    if at - HEADER.size > 255 or at + 4 > len(message):
        raise BadQuery("too long, or cut off")
    kind, space = struct.unpack_from("!2H", message, at)
    if space != IN:
        raise BadQuery("not of the internet")
    if any(b"." in label for label in labels):
        raise BadQuery("a dot within a label")
    name = b".".join(labels).decode("latin-1")
    return Question(number, flags, name, kind, message[HEADER.size : at + 4])


def wants_more(message: bytes) -> bool:
    """Has a query additional records, of EDNS then: it takes longer replies by UDP than 512 bytes."""
    additional: int = HEADER.unpack_from(message)[5]
    return additional > 0


def answer_records(question: Question, records: Iterable[tuple[int, bytes]], most: int) -> bytes:
    """A reply with records of the kind that was asked for.

    @param records: TTL and data of each.
    @param most: bytes that it may have; a longer one says that it is truncated, and has none.
    """
    name = struct.pack("!H", 0xC000 | HEADER.size)
    written = [
        name + struct.pack("!2HIH", question.kind, IN, ttl, len(data)) + data
        for ttl, data in records
    ]
    flags = RESPONSE | RECURSION_AVAILABLE | (question.flags & RECURSION_DESIRED)
    if HEADER.size + len(question.raw) + sum(map(len, written)) > most:
        written, flags = [], flags | TRUNCATED
    head = HEADER.pack(question.number, flags, 1, len(written), 0, 0)
    return head + question.raw + b"".join(written)


def answer(question: Question, code: int, address: str = "", ttl: int = 0) -> bytes:
    """The whole reply; with an address if there is one."""
    flags = RESPONSE | AUTHORITATIVE | RECURSION_AVAILABLE | code
    flags |= question.flags & RECURSION_DESIRED
    head = HEADER.pack(question.number, flags, 1, 1 if address else 0, 0, 0)
    record = b""
    if address:
        record = struct.pack("!3HIH", 0xC000 | HEADER.size, A, IN, ttl, 4)
        record += socket.inet_aton(address)
    return head + question.raw + record
