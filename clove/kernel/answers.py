"""Answers of stores that may take their time.

A store in memory has its answer at once, and gives it as it is: a Deferred for each would cost
more than the look-up. A store on a disk gives a Deferred. L{then} is the one place that knows
the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred

__all__ = ["Answer", "then"]

T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")

Answer: TypeAlias = T | Deferred[T]
"""A value, or a Deferred of it (and no subclass of Deferred). A refusal is raised at once, or is the
Deferred's failure."""


def then(answer: Answer[T], go_on: Callable[[T, A], R], about: A) -> R | Coroutine[Any, Any, R]:
    """What a function makes of an answer: at once if that is there, else a coroutine.

    @param about: what the function is given beside the answer (a closure for each call would
        cost three times as much as all of this).
    """
    # isinstance would ask ABCMeta, which takes longer than to look up a key.
    if answer.__class__ is Deferred:
        return _later(answer, go_on, about)
    return go_on(answer, about)  # type: ignore[arg-type]


async def _later(answer: Deferred[T], go_on: Callable[[T, A], R], about: A) -> R:
    return go_on(await answer, about)
