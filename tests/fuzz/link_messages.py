"""Messages of links (docs/wire.md, Relay, version 2), right and wrong. Pure."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable

from clove.channels.session import MOST_PIECE, FrameKind, frame
from clove.framing import encode
from tests.fuzz.json_texts import any_text, changed, junk

__all__ = ["kernel_bytes", "link_message", "right_control"]

CHANNELS = (1, 1, 1, 2, 3, 0, 99, 0xFFFFFFFF)
_CONTROLS = (
    "ping",
    "pong",
    "drain",
    "leave",
    "kernel_connected",
    "kernel_disconnected",
    "more",
    "",
)
CALLER = {"id": 1000, "name": "a", "token_id": "t", "permissions": {}}


def kernel_bytes(dice: random.Random) -> bytes:
    """What a channel carries to a kernel: frames of its protocol, some twice, or none."""
    which = dice.randrange(4)
    if which == 0:
        return dice.randbytes(dice.randrange(1, 300))
    if which == 1:
        payload = any_text(dice)[:2000]
    else:
        payload = json.dumps({"name": junk(dice, 0)}).encode()[:2000]
    tagged = struct.pack("<Q", dice.choice([0, 1, 1, 2**63, 2**64 - 1])) + payload
    one = encode(dice.choice([0, 1, 2**31]), dice.randrange(256), dice.choice([payload, tagged]))
    return one * dice.choice([1, 1, 2])


def right_control(dice: random.Random) -> bytes:
    """A CONTROL that breaks no rule."""
    said = {"type": dice.choice(_CONTROLS[:1] + _CONTROLS[2:]), "id": dice.randrange(9)}
    if not dice.randrange(3):
        said[dice.choice(["type", "id", "more"])] = dice.choice(
            [None, True, -1, 2**64, "x", [], {}]
        )
    return frame(0, FrameKind.CONTROL, json.dumps(said).encode())


def _data(dice: random.Random) -> bytes:
    return frame(dice.choice(CHANNELS), FrameKind.DATA, kernel_bytes(dice)[:MOST_PIECE])


def _full(dice: random.Random) -> bytes:
    size = dice.choice([0, MOST_PIECE, MOST_PIECE + 1, (1 << 18) - 5, (1 << 18) + 1])
    return frame(dice.choice(CHANNELS), FrameKind.DATA, bytes(size))


def _open(dice: random.Random) -> bytes:
    said = {"caller": json.loads(changed_caller(dice))}
    return frame(dice.choice(CHANNELS), FrameKind.OPEN, json.dumps(said).encode())


def changed_caller(dice: random.Random) -> bytes:
    """A caller with something wrong about it, but JSON."""
    found = {**CALLER, dice.choice([*CALLER, "more"]): junk(dice)}
    return json.dumps(found).encode()


def _close(dice: random.Random) -> bytes:
    return frame(dice.choice(CHANNELS), FrameKind.CLOSE, changed(dice, {"error": "x"}))


def _window(dice: random.Random) -> bytes:
    body = dice.choice([b"", b"\0\0\0\1", b"\0\4\0\0", b"\xff" * 4, b"\0" * 5])
    return frame(dice.choice(CHANNELS), FrameKind.WINDOW, body)


def _ack(dice: random.Random) -> bytes:
    return frame(0, FrameKind.ACK, dice.choice([bytes(8), b"\0" * 7 + b"\1", b"\xff" * 8, b"1"]))


def _control(dice: random.Random) -> bytes:
    text = changed(dice, {"type": dice.choice(_CONTROLS), "id": dice.randrange(5)})
    return frame(dice.choice([0, 0, 1]), FrameKind.CONTROL, text)


def _junk(dice: random.Random) -> bytes:
    return frame(dice.choice(CHANNELS), dice.randrange(8), any_text(dice))


def _short(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(12))


_ALL: list[Callable[[random.Random], bytes]] = [
    _data, _data, _full, _open, _close, _window, _ack, _control, _control, _junk, _short,
]  # fmt: skip


def link_message(dice: random.Random) -> bytes:
    """Any message of a link."""
    return dice.choice(_ALL)(dice)
