"""Where attempts wait for their turn, so long and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from clove.errors import LimitExceeded

if TYPE_CHECKING:
    from clove.kernel.attempts.turns import Turn, Turns

__all__ = ["WORDS_ALONE", "Lane"]

WORDS_ALONE = "`attempt: false` asks policy alone"


class Lane:
    """Turns that come as earlier ones are over.

    @param timeout: seconds that one waits at most.
    """

    def __init__(self, clock: Any, turns: Turns, timeout: float) -> None:
        self._clock = clock
        self._turns = turns
        self._timeout = timeout
        self._waiting: dict[Turn, Deferred[None]] = {}

    async def reach(self, turn: Turn) -> None:
        """Wait until a turn has come; L{leave} in any case.

        @raise LimitExceeded: it does not come in time.
        """
        came: Deferred[None] = Deferred()
        self._waiting[turn] = came
        self._turns.wait(turn)
        self._call()
        try:
            await came.addTimeout(self._timeout, self._clock)
        except DeferredTimeout:
            raise LimitExceeded(
                f"no turn within {self._timeout:g} seconds: other attempts are being made",
                hint=f"try again later; {WORDS_ALONE}",
            ) from None

    def leave(self, turn: Turn) -> None:
        """A turn is over, or nobody waits for it any more: the next one's comes."""
        self._waiting.pop(turn, None)
        self._turns.leave(turn)
        self._call()

    def _call(self) -> None:
        while (turn := self._turns.next()) is not None:
            self._waiting.pop(turn).callback(None)
