"""One mailbox: what is in it, what is leased, what has expired. Pure; time comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import inf

from msgspec import Struct

from clove.kernel.mail.message import Message
from clove.sharing.shares import OPERATORS

__all__ = ["Letter", "Mailbox"]


class Letter(Struct, gc=False):
    """One message on its way.

    @ivar sent, expires: seconds of the kernel's clock.
    @ivar size: bytes of the message's body.
    """

    id: int
    message: Message
    sent: float
    expires: float
    size: int


class Mailbox:
    """Letters in the order of their ids, and the leased ones apart.

    @ivar size: bytes of all letters in it, leased ones included.
    @ivar foreign_count, foreign_size: letters, and their bytes, of families that are neither the
        owner's nor operators.
    @ivar lease_ends: when the earliest lease ends, or infinity.
    """

    __slots__ = (
        "_foreign",
        "_leased",
        "_on_gone",
        "_queue",
        "_soonest",
        "family",
        "foreign_count",
        "foreign_size",
        "lease_ends",
        "size",
    )

    def __init__(self, on_gone: Callable[[Letter], None], family: int = OPERATORS) -> None:
        """
        @param on_gone: told of each letter that leaves for good.
        @param family: the owner's.
        """
        self.family = family
        self._foreign: dict[int, tuple[int, int]] = {}
        self.foreign_count = self.foreign_size = 0
        self._queue: deque[Letter] = deque()
        self._leased: dict[int, tuple[float, Letter]] = {}
        self._on_gone = on_gone
        self._soonest = inf  # no queued letter expires before this
        self.lease_ends = inf
        self.size = 0

    def __len__(self) -> int:
        return len(self._queue) + len(self._leased)

    def put(self, letter: Letter) -> None:
        """Add a letter with an id above all others."""
        self._queue.append(letter)
        self.size += letter.size
        if self.is_foreign(letter.message.family):
            self._count(letter, 1)
        if letter.expires < self._soonest:
            self._soonest = letter.expires

    def take(self, most: int, now: float, lease_until: float | None) -> list[Letter]:
        """Take out at most so many, oldest first.

        @param lease_until: keep them leased until then; None: they are gone.
        """
        queue = self._queue
        taken: list[Letter] = []
        while queue and len(taken) < most:
            letter = queue.popleft()
            if letter.expires <= now:
                self._drop(letter)
                continue
            taken.append(letter)
            if lease_until is None:
                self._drop(letter)
            else:
                self._leased[letter.id] = (lease_until, letter)
                self.lease_ends = min(self.lease_ends, lease_until)
        return taken

    def ack(self, ids: Iterable[int]) -> int:
        """Drop leased letters; gives how many of the ids were leased."""
        done = 0
        for id in ids:
            lease = self._leased.pop(id, None)
            if lease is not None:
                self._drop(lease[1])
                done += 1
        if not self._leased:
            self.lease_ends = inf
        return done

    def end_leases(self, now: float) -> int:
        """Put letters with an expired lease back into their order; gives how many."""
        back = [letter for until, letter in self._leased.values() if until <= now]
        for letter in back:
            del self._leased[letter.id]
            self._soonest = min(self._soonest, letter.expires)
        self.lease_ends = min((until for until, _ in self._leased.values()), default=inf)
        if back:
            self._queue = deque(sorted([*back, *self._queue], key=_by_id))
        return len(back)

    def purge(self, now: float) -> None:
        """Drop queued letters that have expired. Costs nothing if none has."""
        if now < self._soonest:
            return
        keep: deque[Letter] = deque()
        self._soonest = inf
        for letter in self._queue:
            if letter.expires <= now:
                self._drop(letter)
            else:
                keep.append(letter)
                self._soonest = min(self._soonest, letter.expires)
        self._queue = keep

    def clear(self) -> None:
        """Drop everything."""
        for letter in [*self._queue, *(letter for _, letter in self._leased.values())]:
            self._drop(letter)
        self._queue.clear()
        self._leased.clear()
        self.lease_ends = self._soonest = inf

    def is_foreign(self, family: int) -> bool:
        """Whether a family has only a part of the room here."""
        return family != OPERATORS and family != self.family

    def of(self, family: int) -> tuple[int, int]:
        """Letters, and their bytes, of a foreign family."""
        return self._foreign.get(family, (0, 0))

    def _count(self, letter: Letter, one: int) -> None:
        self.foreign_count += one
        self.foreign_size += one * letter.size
        family = letter.message.family
        count, size = self._foreign.pop(family, (0, 0))
        if count + one:
            self._foreign[family] = count + one, size + one * letter.size

    def _drop(self, letter: Letter) -> None:
        self.size -= letter.size
        if self.is_foreign(letter.message.family):
            self._count(letter, -1)
        self._on_gone(letter)


def _by_id(letter: Letter) -> int:
    return letter.id
