"""Requests that bear an idempotency key: a repeated one gets the answer of the first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred

from clove.errors import InvalidRequest

__all__ = ["Repeats"]


class _Once:
    """One request.

    @ivar body: hash of what was asked.
    @ivar answer: None while it is in work.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.answer: Any = None
        self.waiting: list[Deferred[None]] = []


class Repeats:
    """Remembers answers, for as long as the relay runs, and of those in work that they are.

    @param most: keys of one token, and tokens.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tokens: OrderedDict[str, OrderedDict[str, _Once]] = OrderedDict()

    async def once(
        self, token_id: str, key: str, body: bytes, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The answer of the first request with this key; one that failed is done again.

        @param key: what the client has chosen; each token has keys of its own.
        @raise InvalidRequest: the key was used for something else.
        """
        requests = self._of(token_id)
        hashed = hashlib.sha256(body).digest()
        while (found := requests.get(key)) is not None:
            if found.body != hashed:
                raise InvalidRequest(
                    "this Idempotency-Key was used for another request", hint="choose a new one"
                )
            if found.answer is not None:
                return found.answer
            waiting: Deferred[None] = Deferred()
            found.waiting.append(waiting)
            await waiting
        mine = requests[key] = _Once(hashed)
        while len(requests) > self._most:
            requests.popitem(last=False)
        try:
            mine.answer = await work()
            return mine.answer
        except BaseException:
            if requests.get(key) is mine:
                del requests[key]
            raise
        finally:
            for each in mine.waiting:
                if not each.called:
                    each.callback(None)

    def _of(self, token_id: str) -> OrderedDict[str, _Once]:
        """The requests of a token."""
        requests = self._tokens.setdefault(token_id, OrderedDict())
        self._tokens.move_to_end(token_id)
        while len(self._tokens) > self._most:
            self._tokens.popitem(last=False)
        return requests
