"""Stores that take their time, and tests that do not care whether they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from clove.kernel.answers import Answer

__all__ = ["Settled", "Slow", "settled"]

TICK = 2**-12
"""Seconds that a slow store takes for each answer: few enough that no time-out of a test is missed."""


def settled(clock: Clock, answer: Answer[Any]) -> Any:
    """What an answer is, once it is there; what was refused is raised."""
    if not isinstance(answer, Deferred):
        return answer
    results: list[Any] = []
    answer.addBoth(results.append)
    for _ in range(4):
        if not results:
            clock.advance(TICK)
    assert results, "there is no answer"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class _Proxy:
    """A store whose methods, but for those that are named, are called in another way."""

    def __init__(self, clock: Clock, store: Any, but: frozenset[str] = frozenset()) -> None:
        self._clock = clock
        self._store = store
        self._but = but

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name in self._but:
            return found
        return lambda *args, **kwargs: self._call(found, *args, **kwargs)

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class Slow(_Proxy):
    """Does what it is asked a moment later, and gives Deferreds until then.

    @param but: methods that no implementation answers.
    """

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        return deferLater(self._clock, TICK, method, *args, **kwargs)


class Settled(_Proxy):
    """A store that is asked and waited for; L{later} gives the answer itself."""

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return settled(self._clock, method(*args, **kwargs))

    def later(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """What a method answers, a moment after it was asked, so that a slow store has begun."""
        answer = getattr(self._store, name)(*args, **kwargs)
        self._clock.advance(TICK)
        return answer
