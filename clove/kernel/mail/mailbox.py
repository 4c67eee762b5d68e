"""One mailbox: what is in it, what is leased, what has expired. Pure; time comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
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

    @ivar count: letters in it, leased ones included.
    @ivar size: their bytes.
    @ivar at_home: families that may have all the room: operators, and the owner's.
    @ivar foreign_count, foreign_size: letters, and their bytes, of other families.
    @ivar lease_ends: when the earliest lease ends, or infinity.
    """

    __slots__ = (
        "_foreign",
        "_leased",
        "_on_gone",
        "_queue",
        "_soonest",
        "at_home",
        "count",
        "foreign_count",
        "foreign_size",
        "lease_ends",
        "size",
    )

    def __init__(
        self, on_gone: Callable[[Sequence[Letter]], None], family: int = OPERATORS
    ) -> None:
        """
        @param on_gone: told of the letters that leave for good, at least one.
        @param family: the owner's.
        """
        self.at_home = (OPERATORS, family)
        self._foreign: dict[int, tuple[int, int]] = {}
        self.foreign_count = self.foreign_size = 0
        self._queue: deque[Letter] = deque()
        self._leased: dict[int, tuple[float, Letter]] = {}
        self._on_gone = on_gone
        self._soonest = inf  # no queued letter expires before this
        self.lease_ends = inf
        self.count = self.size = 0

    def put(self, letter: Letter) -> None:
        """Add a letter with an id above all others."""
        self._queue.append(letter)
        self.count += 1
        self.size += letter.size
        family = letter.message.family
        if family not in self.at_home:
            self._count(letter, 1)
        if letter.expires < self._soonest:
            self._soonest = letter.expires

    def take(self, most: int, now: float, lease_until: float | None) -> list[Letter]:
        """Take out at most so many, oldest first.

        @param lease_until: keep them leased until then; None: they are gone.
        """
        queue = self._queue
        taken: list[Letter] = []
        if now < self._soonest and len(queue) <= most:
            taken.extend(queue)
            queue.clear()
        elif now < self._soonest:
            while len(taken) < most:
                taken.append(queue.popleft())
        else:
            self._take_unexpired(taken, most, now)
        if lease_until is None:
            self._drop(taken)
        elif taken:
            self._leased.update((letter.id, (lease_until, letter)) for letter in taken)
            self.lease_ends = min(self.lease_ends, lease_until)
        return taken

    def _take_unexpired(self, taken: list[Letter], most: int, now: float) -> None:
        expired: list[Letter] = []
        while self._queue and len(taken) < most:
            letter = self._queue.popleft()
            (taken if letter.expires > now else expired).append(letter)
        self._drop(expired)

    def ack(self, ids: Iterable[int]) -> int:
        """Drop leased letters; gives how many of the ids were leased."""
        leases = [lease for id in ids if (lease := self._leased.pop(id, None)) is not None]
        self._drop([letter for _, letter in leases])
        if not self._leased:
            self.lease_ends = inf
        return len(leases)

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
        expired = [letter for letter in self._queue if letter.expires <= now]
        self._queue = deque(letter for letter in self._queue if letter.expires > now)
        self._soonest = min((letter.expires for letter in self._queue), default=inf)
        self._drop(expired)

    def clear(self) -> None:
        """Drop everything."""
        self._drop([*self._queue, *(letter for _, letter in self._leased.values())])
        self._queue.clear()
        self._leased.clear()
        self.lease_ends = self._soonest = inf

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

    def _drop(self, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        size = 0
        for letter in letters:
            size += letter.size
            if letter.message.family not in self.at_home:
                self._count(letter, -1)
        self.count -= len(letters)
        self.size -= size
        self._on_gone(letters)


def _by_id(letter: Letter) -> int:
    return letter.id
