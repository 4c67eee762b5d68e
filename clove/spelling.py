"""What a misspelt name may have been meant for. Pure."""

from __future__ import annotations

import functools
from typing import Final

__all__ = ["SHOWN", "guess", "near", "shown"]

SHOWN: Final = 64
"""Characters of an unknown name that are looked at and shown."""
NEAR: Final = 3
"""Names that it may have been meant for."""
ELSEWHERE: Final = {
    "cpu": ("cpu_quota", "cpu_shares"),
    "pids": ("max_pids",),
    "parts": ("content",),
    "text": ("content",),
    "input_schema": ("parameters",),
    "tokens": ("max_tokens",),
    "calls": ("max_calls",),
}
"""What is called otherwise in other systems, where the names are not alike."""


def shown(name: str) -> str:
    """An unknown name for a log or a reply: cut, and in printable ASCII."""
    return name[:SHOWN].encode("unicode_escape").decode("ascii")


def guess(name: str, known: tuple[str, ...]) -> str:
    """The name of agents, keys or the like that one with a slip may have been meant for; else ""."""
    import difflib  # for errors alone

    low = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name[:SHOWN].lower(), tuple(low), 1)
    return low[found[0]] if found else ""


def near(name: str, known: tuple[str, ...]) -> str:
    """What an unknown name may have been meant for, in words; else all that are known."""
    return _near(name[:SHOWN], known)


@functools.lru_cache(maxsize=1024)
def _near(name: str, known: tuple[str, ...]) -> str:
    import difflib

    low = name.lower()
    found = [field for field in ELSEWHERE.get(low, ()) if field in known]
    lows = {field.lower(): field for field in known}
    found += [lows[each] for each in difflib.get_close_matches(low, tuple(lows), NEAR)]
    found += [lows[each] for each in lows if len(low) > 2 and (low in each or each in low)]
    if found:
        return f"did you mean {' or '.join(list(dict.fromkeys(found))[:NEAR])}?"
    return f"known are {', '.join(known)}" if known else "there are no fields here"
