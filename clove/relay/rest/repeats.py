"""Requests that bear an idempotency key: a repeated one gets the answer of the first, at whichever relay.

The store has the keys, so they hold over a restart. Of those in work here it is noted in memory, too, so
that a repeated one is answered as soon as the first is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from clove.errors import CloveError, ConnectionLost, Internal, TimedOut, Unavailable
from clove.relay.records import Repeat, RepeatKey
from clove.relay.store.interface import IStore

__all__ = ["Repeats"]

T = TypeVar("T", bound=msgspec.Struct)

LOOK_SECONDS: Final = 0.25
"""How often it is looked whether another relay has answered."""
WAIT_SECONDS: Final = 20.0
"""How long it is waited for that."""
_UNSURE: Final = (ConnectionLost, TimedOut, Internal)
"""After these a request may have been done."""


class Repeats:
    """Remembers answers.

    @param claimant: name of this start of the relay.
    @param wall: seconds since the epoch.
    """

    log = Logger()

    def __init__(self, store: IStore, claimant: str, clock: Any, wall: Callable[[], float]) -> None:
        self._store = store
        self._claimant = claimant
        self._clock = clock
        self._wall = wall
        self._working: dict[RepeatKey, list[Deferred[None]]] = {}

    async def once(
        self,
        named: RepeatKey,
        body: bytes,
        kind: type[T],
        work: Callable[[bool], Awaitable[T]],
    ) -> T:
        """The answer of the first request with this key; one that failed is done again.

        @param named: what the client has chosen; each token has keys of its own.
        @param work: is told whether the request may have been done before by one that could not tell.
        @raise InvalidRequest: the key was used for something else.
        @raise Unavailable: another relay is still at it.
        """
        digest = hashlib.sha256(body).digest()
        while (waiting := self._working.get(named)) is not None:
            turn: Deferred[None] = Deferred()
            waiting.append(turn)
            await turn
        waiting = self._working[named] = []
        try:
            found = await self._claim(named, digest)
            if found.answer is not None:
                return msgspec.json.decode(found.answer, type=kind)
            return await self._do(named, found, work)
        finally:
            del self._working[named]
            for each in waiting:
                if not each.called:
                    each.callback(None)

    async def _claim(self, named: RepeatKey, digest: bytes) -> Repeat:
        end = self._clock.seconds() + WAIT_SECONDS
        while True:
            found = await self._store.claim_repeat(named, digest, self._claimant, self._wall())
            if found.ours or found.answer is not None:
                return found
            if self._clock.seconds() > end:
                raise Unavailable(
                    "the first request with this Idempotency-Key is still in work",
                    hint="repeat it in some seconds",
                )
            await deferLater(self._clock, LOOK_SECONDS)

    async def _do(self, named: RepeatKey, found: Repeat, work: Callable[[bool], Awaitable[T]]) -> T:
        try:
            answer = await work(found.doubtful)
        except BaseException as error:
            sure = isinstance(error, CloveError) and not isinstance(error, _UNSURE)
            await self._give_up(named, sure=sure and not found.doubtful)
            raise
        await self._store.finish_repeat(named, self._claimant, msgspec.json.encode(answer))
        return answer

    async def _give_up(self, named: RepeatKey, *, sure: bool) -> None:
        store = self._store
        try:
            if sure:
                await store.drop_repeat(named, self._claimant)
            else:
                await store.doubt_repeat(named, self._claimant)
        except CloveError as error:  # the next one finds a claim of ours
            self.log.warn("an idempotency key is not given up: {error}", error=str(error))
