"""WebSocket frames, right and wrong (RFC 6455), as bytes. Pure: chance comes from a random generator."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

__all__ = ["BINARY", "TEXT", "fragments", "message", "websocket_frame", "wrong_frames"]

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FLOOD = 64 << 10
"""Bytes of small frames sent at once: as many as a transport reads in a turn."""


def websocket_frame(
    kind: int, data: bytes, *, masked: bool = True, last: bool = True, reserved: int = 0
) -> bytes:
    """One frame; masked with zeros, which changes nothing."""
    head = bytes((last << 7 | reserved << 4 | kind,))
    bit = masked << 7
    if len(data) < 126:
        head += bytes((bit | len(data),))
    elif len(data) < 1 << 16:
        head += struct.pack(">BH", bit | 126, len(data))
    else:
        head += struct.pack(">BQ", bit | 127, len(data))
    return head + bytes(4 * masked) + data


def fragments(dice: random.Random, kind: int, data: bytes, masked: bool) -> bytes:
    """A message in several frames, some of them empty, with pings in between."""
    cuts = sorted(dice.choices(range(len(data) + 1), k=dice.randint(1, 5)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    frames = b""
    for number, piece in enumerate(pieces):
        if not dice.randrange(4):
            frames += websocket_frame(PING, dice.randbytes(dice.randrange(126)), masked=masked)
        last = number == len(pieces) - 1
        frames += websocket_frame(CONTINUED if number else kind, piece, masked=masked, last=last)
    return frames


def message(dice: random.Random, kind: int, data: bytes, masked: bool) -> bytes:
    """A message as it should be, now and then in pieces."""
    if dice.randrange(8):
        return websocket_frame(kind, data, masked=masked)
    return fragments(dice, kind, data, masked)


def _flood(dice: random.Random, masked: bool) -> bytes:
    """Many small frames at once, which break no rule of WebSockets."""
    one = dice.choice(
        [
            websocket_frame(PING, b"", masked=masked),
            websocket_frame(PONG, b"x", masked=masked),
            websocket_frame(BINARY, b"", masked=masked),
            websocket_frame(TEXT, b"{}", masked=masked),
        ]
    )
    return one * (FLOOD // len(one))


def _many_fragments(dice: random.Random, masked: bool) -> bytes:
    begin = websocket_frame(TEXT, b"{", masked=masked, last=False)
    one = websocket_frame(CONTINUED, dice.choice([b"", b" "]), masked=masked, last=False)
    return begin + one * (FLOOD // len(one))


def _wrong_mask(dice: random.Random, masked: bool) -> bytes:
    return websocket_frame(BINARY, b"x", masked=not masked)


def _reserved(dice: random.Random, masked: bool) -> bytes:
    kind = dice.choice([TEXT, BINARY, PING])
    return websocket_frame(kind, b"x", masked=masked, reserved=dice.randint(1, 7))


def _no_such_kind(dice: random.Random, masked: bool) -> bytes:
    return websocket_frame(dice.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), b"x", masked=masked)


def _long_control(dice: random.Random, masked: bool) -> bytes:
    return websocket_frame(dice.choice([CLOSE, PING, PONG]), bytes(126), masked=masked)


def _cut_control(dice: random.Random, masked: bool) -> bytes:
    return websocket_frame(dice.choice([CLOSE, PING]), b"ab", masked=masked, last=False)


def _continues_nothing(dice: random.Random, masked: bool) -> bytes:
    return websocket_frame(CONTINUED, b"x", masked=masked)


def _begins_twice(dice: random.Random, masked: bool) -> bytes:
    begin = websocket_frame(TEXT, b"{", masked=masked, last=False)
    return begin + websocket_frame(dice.choice([TEXT, BINARY]), b"}", masked=masked)


def _endless(dice: random.Random, masked: bool) -> bytes:
    size = dice.choice([1 << 63, (1 << 63) - 1, 1 << 32, 1 << 20, 5])
    mask = bytes(4 * masked)
    return bytes((0x80 | BINARY, masked << 7 | 127)) + struct.pack(">Q", size) + mask


def _no_text(dice: random.Random, masked: bool) -> bytes:
    return websocket_frame(
        TEXT, dice.choice([b"\xff", b"\xed\xa0\x80", b"\xf4\x90"]), masked=masked
    )


def _closes(dice: random.Random, masked: bool) -> bytes:
    codes = [b"", b"x", *(struct.pack(">H", code) for code in (0, 999, 1000, 1005, 4999, 65535))]
    return websocket_frame(CLOSE, dice.choice(codes) + dice.choice([b"", b"\xff"]), masked=masked)


def _no_websocket(dice: random.Random, masked: bool) -> bytes:
    return dice.randbytes(dice.randint(1, 2000))


_MISTAKES: list[Callable[[random.Random, bool], bytes]] = [
    _flood,
    _many_fragments,
    _wrong_mask,
    _reserved,
    _no_such_kind,
    _long_control,
    _cut_control,
    _continues_nothing,
    _begins_twice,
    _endless,
    _no_text,
    _closes,
    _no_websocket,
]


def wrong_frames(dice: random.Random, masked: bool) -> bytes:
    """Bytes that break the rules of WebSockets, or use them to the utmost."""
    return dice.choice(_MISTAKES)(dice, masked)
