"""Keys of machines, looked up for many at a time.

When a fleet comes back at once, a thousand machines ask for theirs. Each look-up of its own would take a turn of
the store's thread and one of the reactor's, and wait for the thread to get the interpreter from a reactor that
is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["TOGETHER", "KeyLookups"]

TOGETHER: Final = 16
"""Machines in one look-up: what waits for them goes on in one turn of the reactor."""
_Waiting = dict[str, list[Deferred[bytes | None]]]


class KeyLookups:
    """One look-up at a time; what is asked for meanwhile waits for the next, in order.

    @param keys_of: of the store.
    """

    def __init__(
        self, keys_of: Callable[[Collection[str]], Deferred[dict[str, bytes | None]]]
    ) -> None:
        self._keys_of = keys_of
        self._waiting: _Waiting = {}
        self._busy = False

    async def key_of(self, machine_id: str) -> bytes | None:
        """The key that a machine has joined with, as it is after this was asked.

        @raise Unavailable: the store does not answer.
        """
        found: Deferred[bytes | None] = Deferred()
        self._waiting.setdefault(machine_id, []).append(found)
        if not self._busy:
            self._busy = True
            self._ask()
        return await found

    def _ask(self) -> None:
        """Look the next ones up, if there are any."""
        asked: _Waiting = {
            each: self._waiting.pop(each) for each in list(islice(self._waiting, TOGETHER))
        }
        if not asked:
            self._busy = False
            return
        self._keys_of(tuple(asked)).addBoth(self._answered, asked)

    def _answered(self, found: dict[str, bytes | None] | Failure, asked: _Waiting) -> None:
        self._ask()  # before these go on: the store is busy meanwhile
        for machine_id, waiting in asked.items():
            for each in waiting:
                if each.called:  # who asked is gone
                    continue
                if isinstance(found, Failure):
                    each.errback(found)
                else:
                    each.callback(found.get(machine_id))
