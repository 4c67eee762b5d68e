"""The keys of some spaces in order, for KEYS. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from clove.kernel.pieces import Pieces
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.space import Space

__all__ = ["PAGE", "list_keys"]

PAGE: Final = 256
"""Keys of each space that are looked at in one piece of the work."""


def list_keys(
    spaces: Sequence[Space], prefix: str, now: float, limits: StateLimits
) -> Pieces[tuple[list[str], bool]]:
    """Those that begin with a prefix and have not expired, sorted and each once; and whether there are more.

    A key that is there all the time is listed; one that comes or goes meanwhile may be.
    """
    listed: list[str] = []
    room = limits.max_listed_bytes
    last = ""
    while found := _next_page(spaces, last, prefix, now):
        last, page = found
        size = len("".join(page).encode())
        most = limits.max_listed - len(listed)
        if len(page) > most or size > room:
            return listed + _fitting(page[:most], room), True
        listed += page
        room -= size
        yield
    return listed, False


def _next_page(
    spaces: Sequence[Space], last: str, prefix: str, now: float
) -> tuple[str, list[str]] | None:
    """The live keys of all spaces above the last one up to another, and that; None: there are no more."""
    pages = [(space, page) for space in spaces if (page := space.after(last, prefix, PAGE))]
    if not pages:
        return None
    end = min(page[-1] for _, page in pages)
    live = [_live(space, page[: bisect_right(page, end)], now) for space, page in pages]
    return end, live[0] if len(live) == 1 else sorted(set().union(*live))


def _live(space: Space, page: list[str], now: float) -> list[str]:
    """Those that have not expired. (To look each up takes most of a listing's time.)"""
    if not space.expiring:
        return page
    entries = space.entries
    return [key for key in page if entries[key].expires > now]


def _fitting(page: list[str], room: int) -> list[str]:
    """The first keys of a page, as many as go into so many bytes."""
    for count, key in enumerate(page):
        room -= len(key.encode())
        if room < 0:
            return page[:count]
    return page
