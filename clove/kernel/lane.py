"""Where work waits for its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from clove.errors import LimitExceeded

if TYPE_CHECKING:
    from clove.kernel.turns import Turn, Turns

__all__ = ["Lane"]


class Lane:
    """Turns that come as earlier ones are over.

    @param timeout: seconds that one waits at most; None: as long as it takes.
    @param others: what is being waited for, in words ("other attempts are being made").
    @param hint: what to do beside waiting.
    """

    def __init__(
        self,
        clock: Any,
        turns: Turns,
        timeout: float | None = None,
        others: str = "others are served",
        hint: str = "",
    ) -> None:
        self._clock = clock
        self._turns = turns
        self._timeout = timeout
        self._others = others
        self._hint = "; ".join(part for part in ("try again later", hint) if part)
        self._waiting: dict[Turn, Deferred[None]] = {}

    def waiting(self, family: int) -> int:
        """How many of a family wait."""
        return self._turns.of(family)

    @asynccontextmanager
    async def within(self, turn: Turn) -> AsyncIterator[None]:
        """Do something in its turn.

        @raise LimitExceeded: it does not come in time.
        """
        try:
            await self.reach(turn)
            yield
        finally:
            self.leave(turn)

    async def reach(self, turn: Turn) -> None:
        """Wait until a turn has come; L{leave} in any case.

        @raise LimitExceeded: it does not come in time.
        """
        came: Deferred[None] = Deferred()
        self._waiting[turn] = came
        self._turns.wait(turn)
        self._call()
        if self._timeout is not None:
            came.addTimeout(self._timeout, self._clock)
        try:
            await came
        except DeferredTimeout:
            raise LimitExceeded(
                f"no turn within {self._timeout:g} seconds: {self._others}", hint=self._hint
            ) from None

    def leave(self, turn: Turn) -> None:
        """A turn is over, or nobody waits for it any more: the next one's comes."""
        self._waiting.pop(turn, None)
        self._turns.leave(turn)
        self._call()

    def _call(self) -> None:
        while (turn := self._turns.next()) is not None:
            self._waiting.pop(turn).callback(None)
