"""Ids that never come again, not even in the next kernel of a state directory. Pure.

Before a number is given its range is reserved durably (L{clove.kernel.id_file}), a range ahead,
so that no request waits for the disk. A kernel that is killed skips what it had reserved and not
given; it never gives a number twice.
"""

from __future__ import annotations

from collections.abc import Callable

from clove.errors import LimitExceeded, Unavailable

__all__ = ["Counter"]


class Counter:
    """Ascending numbers.

    @ivar next: the number that is given next, if it is reserved.
    """

    __slots__ = ("_ahead", "_ask", "_ask_at", "_last", "_reserved", "_what", "next")

    def __init__(
        self, what: str, first: int, last: int, ahead: int, ask: Callable[[], object]
    ) -> None:
        """
        @param what: what the numbers are of, in the plural ("agents").
        @param last: the last number there is.
        @param ahead: how many to reserve at a time.
        @param ask: called when half of them are given, and until L{reserve} is called.
        """
        self._what = what
        self._last = last
        self._ahead = ahead
        self._ask = ask
        self.next = first
        self._reserved = self._ask_at = first

    def take(self) -> int:
        """The next number.

        @raise Unavailable: it is not reserved yet; the disk is slow, or cannot be written.
        @raise LimitExceeded: there is none left.
        """
        number = self.next
        if number >= self._ask_at:
            self._check(number)
        self.next = number + 1
        return number

    def take_always(self) -> int:
        """As L{take}, but where none is reserved a number that a later kernel may give again.

        For what must not be left out, and is lost with this kernel where the disk is.
        """
        number = self.next
        if number >= self._ask_at:
            self._ask()
        self.next = number + 1
        return number

    def _check(self, number: int) -> None:
        if number > self._last:
            raise LimitExceeded(
                f"this state directory has no ids for {self._what} left",
                hint="start the kernel with a new --state-dir",
            )
        self._ask()
        if number >= self._reserved:
            raise Unavailable(
                f"no ids for {self._what} are reserved on the disk",
                hint="try again; if it stays so, the disk of the state directory is full or broken",
            )

    @property
    def left(self) -> int:
        """How many numbers there still are."""
        return max(0, self._last + 1 - self.next)

    def wanted(self) -> int:
        """The end of the range that should be reserved now: its first number is L{next}."""
        return max(self._reserved, min(self.next + self._ahead, self._last + 1))

    def reserve(self, end: int) -> None:
        """All numbers below this are reserved."""
        self._reserved = end
        # With no more to reserve, the file is not asked again until the last number is given.
        self._ask_at = end if end > self._last else max(self.next, end - self._ahead // 2)

    def close(self) -> int:
        """Give no more; gives the first number that was not given."""
        self._reserved = self._ask_at = min(self.next, self._last)
        self._ask = _nothing
        return self.next


def _nothing() -> None:
    """Used where nothing is to be reserved."""
