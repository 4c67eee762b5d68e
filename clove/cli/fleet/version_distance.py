"""Which versions of Clove work together: those at most one minor version apart (docs/deploy.md). Pure."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["too_far_apart"]

_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})(?!\d)")
MOST: Final = 1
"""Minor versions between two that work together."""


def too_far_apart(one: str, other: str) -> bool:
    """Whether two versions may not work together; of a text that is no version nothing is said."""
    found = [_VERSION.match(each) for each in (one, other)]
    if found[0] is None or found[1] is None:
        return False
    (major, minor), (other_major, other_minor) = (
        (int(each[1]), int(each[2])) for each in (found[0], found[1])
    )
    return major != other_major or abs(minor - other_minor) > MOST
