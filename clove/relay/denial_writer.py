"""Brings what was refused into the store, a bounded number each time, whoever is refused how often."""

from __future__ import annotations

from typing import Final

from clove.relay.denial_record import Denial
from clove.relay.denials import Denials
from clove.relay.store.interface import IStore

__all__ = ["DenialWriter"]

TOGETHER: Final = 200
"""Refusals in one write."""


class DenialWriter:
    """Writes those of one relay, and reads those of all.

    @param relay: name of this start of it.
    """

    def __init__(self, denials: Denials, store: IStore, relay: str) -> None:
        self._denials = denials
        self._store = store
        self._relay = relay

    async def write_some(self) -> int:
        """Write some that wait; gives how many.

        @raise Unavailable: not now; they wait for the next time.
        """
        some = self._denials.unwritten(TOGETHER)
        if some:
            await self._store.keep_denials(self._relay, some)
        self._denials.written(some)
        return len(some)

    async def read(self, before: int, most: int, *, kind: str, machine_id: str) -> list[Denial]:
        """What the store has, this relay's latest among them.

        @param before: see L{IStore.denials}, as for the others.
        @raise Unavailable: the store does not answer.
        """
        for _ in range(self._denials.most // TOGETHER + 1):
            if await self.write_some() < TOGETHER:
                break
        return await self._store.denials(before, most, kind=kind, machine_id=machine_id)
