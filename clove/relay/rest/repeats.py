"""Requests that bear an idempotency key: a repeated one gets the answer of the first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred

from clove.errors import InvalidRequest

__all__ = ["Repeats"]

_MOST: Final = 10_000
"""Keys that are remembered; the oldest is forgotten then."""


class _Once:
    """One request.

    @ivar body: what was asked.
    @ivar answer: None while it is in work.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.answer: Any = None
        self.waiting: list[Deferred[None]] = []


class Repeats:
    """Remembers answers, for as long as the relay runs, and of those in work that they are."""

    def __init__(self) -> None:
        self._requests: OrderedDict[tuple[str, str], _Once] = OrderedDict()

    async def once(
        self, key: tuple[str, str], body: bytes, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The answer of the first request with this key; one that failed is done again.

        @param key: the token's id, and what the client has chosen.
        @raise InvalidRequest: the key was used for something else.
        """
        while (found := self._requests.get(key)) is not None:
            if found.body != body:
                raise InvalidRequest(
                    "this Idempotency-Key was used for another request", hint="choose a new one"
                )
            if found.answer is not None:
                return found.answer
            waiting: Deferred[None] = Deferred()
            found.waiting.append(waiting)
            await waiting
        mine = self._requests[key] = _Once(body)
        while len(self._requests) > _MOST:
            self._requests.popitem(last=False)
        try:
            mine.answer = await work()
            return mine.answer
        except BaseException:
            if self._requests.get(key) is mine:
                del self._requests[key]
            raise
        finally:
            for each in mine.waiting:
                if not each.called:
                    each.callback(None)
