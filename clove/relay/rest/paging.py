"""Lists that are read page by page, by number. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from clove.relay.rest.types import PageByNumber

__all__ = ["numbered_page"]

T = TypeVar("T")


def numbered_page(
    found: Iterable[T], number: Callable[[T], int], page: PageByNumber
) -> tuple[list[T], str]:
    """The entries of a page in order, and what to ask for `after`; that is empty at the end."""
    after = int(page.after) if page.after else -1
    rest = sorted((entry for entry in found if number(entry) > after), key=number)
    shown = rest[: page.limit]
    return shown, str(number(shown[-1])) if len(rest) > page.limit else ""
