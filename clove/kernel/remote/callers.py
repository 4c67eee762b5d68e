"""Ids for remote callers. Pure.

What a relay calls a caller is not what it is here: a relay that starts anew may give a number again.
A caller is known by the relay that it comes through, its token and its name, and gets a number of
this kernel, which no other ever has. Callers with the same token share an owner, by which each manages
what the others have spawned.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import NamedTuple

from clove.errors import LimitExceeded
from clove.kernel.ids import REMOTE_IDS

__all__ = ["Callers", "KnownCaller"]


class KnownCaller(NamedTuple):
    """A remote caller.

    @ivar number, owner: as L{clove.kernel.credentials.RemoteCaller} has them.
    """

    number: int
    owner: int
    name: str
    token_id: str


class Callers:
    """Those that were here.

    @param most: how many are kept; the one that came longest ago is forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers = count()
        self._owners: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._callers: OrderedDict[tuple[str, str, str], KnownCaller] = OrderedDict()
        self._by_number: dict[int, KnownCaller] = {}

    def find(self, relay_id: str, token_id: str, name: str) -> KnownCaller:
        """The caller; a new one, if it was not here before.

        @raise LimitExceeded: no number is left.
        """
        key = (relay_id, token_id, name)
        found = self._callers.get(key)
        if found is None:
            found = KnownCaller(self._next(), self._owner(relay_id, token_id), name, token_id)
            self._callers[key] = self._by_number[found.number] = found
            while len(self._callers) > self._most:
                _, old = self._callers.popitem(last=False)
                del self._by_number[old.number]
        self._callers.move_to_end(key)
        self._owners[key[:2]] = found.owner
        self._owners.move_to_end(key[:2])
        return found

    def of_number(self, number: int) -> KnownCaller | None:
        """The one that has this number, if it is known still."""
        return self._by_number.get(number)

    def _owner(self, relay_id: str, token_id: str) -> int:
        key = (relay_id, token_id)
        if key not in self._owners:
            self._owners[key] = self._next()
            while len(self._owners) > self._most:
                self._owners.popitem(last=False)
        return self._owners[key]

    def _next(self) -> int:
        number = next(self._numbers)
        if number >= len(REMOTE_IDS):
            raise LimitExceeded(
                "no id is left for another remote caller", hint="restart the kernel"
            )
        return number
