"""When the output of a program may be read. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["ReadingTime"]


class ReadingTime(Protocol):
    """A family's part of the loop's time."""

    def serve(
        self, call: Callable[[], object], in_turn: Callable[[], object]
    ) -> Callable[[], None] | None:
        """Call the first at once, or the second later; then gives what cancels that."""

    def charge(self, call: Callable[[], object]) -> None:
        """Call something at once, whether there is time left or not."""
