"""Where very many keys are looked up, without a dictionary that grows in one long piece. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from clove.kernel.state.space import Entry

__all__ = ["LARGE", "Entries", "KeyTable", "table_for"]

LARGE: Final = 150_000
"""Keys, of which one dictionary still grows within 3 ms: the next time, with 174,762, it takes 6 ms, and with
699,050 20."""
PARTS: Final = 64
LAST: Final = PARTS - 1
"""The bits of a hash that choose a part."""


class Entries(Protocol):
    """What a space looks keys up in: a dictionary, or a L{KeyTable}."""

    def get(self, key: str, /) -> Entry | None:
        """The entry of a key; None: it is not there."""

    def pop(self, key: str, /) -> Entry:
        """Take out a key that is there."""

    def __getitem__(self, key: str, /) -> Entry:
        """The entry of a key that is there."""

    def __setitem__(self, key: str, entry: Entry, /) -> None:
        """Add a key, or replace its entry."""

    def __len__(self) -> int:
        """How many there are."""


class KeyTable:
    """Many dictionaries, each of the keys whose hash ends alike: each grows by itself."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: tuple[dict[str, Entry], ...] = tuple({} for _ in range(PARTS))

    def get(self, key: str, /) -> Entry | None:
        """As L{Entries} has it."""
        return self._parts[hash(key) & LAST].get(key)

    def pop(self, key: str, /) -> Entry:
        """As L{Entries} has it."""
        return self._parts[hash(key) & LAST].pop(key)

    def __getitem__(self, key: str, /) -> Entry:
        return self._parts[hash(key) & LAST][key]

    def __setitem__(self, key: str, entry: Entry, /) -> None:
        self._parts[hash(key) & LAST][key] = entry

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __bool__(self) -> bool:
        return any(self._parts)


def table_for(most: int) -> Callable[[], Entries]:
    """What makes a table of so many keys, at most. One dictionary is faster, while it is not L{LARGE}."""
    return dict if most <= LARGE else KeyTable
