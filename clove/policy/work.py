"""A bound on the work of one check: steps are counted, and too many refuse it. Pure.

A step is one pass of an inner loop, about a microsecond. What counts itself
cannot keep the kernel's only thread busy, whatever rules and texts an agent
thinks up; and tests count steps, not time.
"""

from __future__ import annotations

from typing import Final

from clove.errors import LimitExceeded

__all__ = ["MAX_STEPS", "Work"]

MAX_STEPS: Final = 20_000
"""Steps of one check or comparison; more are a LimitExceeded."""


class Work:
    """Steps that may still be made.

    @param what: what takes the steps, for the error's text.
    @ivar spent: steps made.
    """

    __slots__ = ("_compiled", "_most", "_what", "spent")

    def __init__(self, what: str, most: int = MAX_STEPS) -> None:
        self._what = what
        self._most = most
        self.spent = 0
        self._compiled: set[tuple[str, ...]] = set()

    def spend(self, steps: int) -> None:
        """Count steps before they are made.

        @raise LimitExceeded: there are too many.
        """
        self.spent += steps
        if self.spent > self._most:
            raise LimitExceeded(
                f"{self._what}: too complex to judge", hint="use fewer rules and fewer wildcards"
            )

    @property
    def is_over(self) -> bool:
        """There were too many steps already."""
        return self.spent > self._most

    def compile(self, rules: tuple[str, ...]) -> None:
        """Count what it takes to compile a list of rules, once for equal ones.

        @raise LimitExceeded: that is too much.
        """
        if rules not in self._compiled:
            self._compiled.add(rules)
            self.spend(1 + sum(map(len, rules)) // 16)
