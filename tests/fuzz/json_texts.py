"""JSON texts that nearly make sense, and some that make none. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["any_text", "changed", "junk"]

_SCALARS: Sequence[Any] = [
    None, True, False, 0, -1, 1, 1000, 1001, 255, 256, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63),
    0.5, -0.0, 1e308, 10**400, "", "x", "1000", "\0", "\u202e", "\ud800", "é" * 200, "x" * 129,
    "x" * 257, "x" * 70_000, "../../etc/passwd", "AAAA", "A===", "clove_agent_x_y", [], {}, [[]],
]  # fmt: skip
_DEEP = [b"[" * 50_000, b'{"a":' * 20_000, b"[" * 900 + b"]" * 900]
_NO_JSON = [
    b"", b"\0", b"nul", b"NaN", b'{"type":', b"{}{}", b'{"type":"ping"}}', b"\xef\xbb\xbf{}", b"'a'",
    b'{"type":NaN}', b'{"type":"ping",}', b'"\\ud800"', b'{"type":"\\ud800"}', b"1e999999", b"-",
]  # fmt: skip
_MANY = 60_000
"""Bytes of a text with as many values as fit into it."""


def junk(dice: random.Random, depth: int = 2) -> Any:
    """Any value."""
    which = dice.randrange(10)
    if which < 8 or not depth:
        return dice.choice(_SCALARS)
    if which == 8:
        return [junk(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {str(junk(dice, 0)): junk(dice, depth - 1) for _ in range(dice.randrange(4))}


def any_text(dice: random.Random) -> bytes:
    """Something that is no message."""
    which = dice.randrange(6)
    if which == 0:
        return dice.choice(_DEEP)
    if which == 1:
        one = dice.choice([b"[],", b"{},", b"0,", b'"",'])
        return b'{"type":"syscall","more":[' + one * (_MANY // len(one)) + b"0]}"
    if which == 2:
        return dice.choice(_NO_JSON)
    return json.dumps(junk(dice)).encode()


def changed(dice: random.Random, said: Mapping[str, Any]) -> bytes:
    """A message that was right, with something wrong about it (or nothing)."""
    found = dict(said)
    name = dice.choice(list(found))
    which = dice.randrange(8)
    if which == 0:
        del found[name]
    elif which <= 3:
        found[name] = junk(dice)
    elif which == 4:
        found[dice.choice(["more", "Type", "agent_id", "protocol_version", "\0"])] = junk(dice)
    text = json.dumps(found).encode()
    if which == 5:
        again = json.dumps({name: junk(dice)}).encode()
        text = text[:-1] + b"," + again[1:]  # the name twice
    elif which == 6 and text:
        at = dice.randrange(len(text))
        text = text[:at] + dice.randbytes(1) + text[at + 1 :]
    return text
