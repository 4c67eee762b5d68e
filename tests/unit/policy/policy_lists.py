"""Permissions with lists that are as long and as hard to compare as they may be."""

from __future__ import annotations

import string
from typing import Any

import msgspec

from clove.policy import Permissions, parse

LETTERS = string.ascii_letters + string.digits


def wild(number: int, length: int = 8) -> tuple[str, ...]:
    """So many patterns whose wildcards differ."""
    return tuple(f"/w/**/*{number:0{length - 1}}" for number in range(number))


def lists(**fields: Any) -> Permissions:
    return msgspec.structs.replace(parse("unrestricted"), **fields)
