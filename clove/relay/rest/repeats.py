"""Requests that bear an idempotency key: a repeated one gets the answer of the first, at whichever relay.

The store has the keys, so they hold over a restart. Of those in work here it is noted in memory, too, so
that a repeated one is answered as soon as the first is.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from clove.errors import CloveError, ConnectionLost, Internal, TimedOut, Unavailable
from clove.relay.records import Repeat, RepeatKey
from clove.relay.rest.limits import RestLimits
from clove.relay.store.interface import IStore

__all__ = ["Repeats"]

T = TypeVar("T", bound=msgspec.Struct)

LOOK_SECONDS: Final = 0.25
"""How often it is looked whether another relay has answered."""
LATE_SHARE: Final = 4
"""One token has a quarter at most of the keys of which the store is told later."""
_UNSURE: Final = (ConnectionLost, TimedOut, Internal)
"""After these a request may have been done."""


class Repeats:
    """Remembers answers.

    @param claimant: name of this start of the relay.
    @param wall: seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        store: IStore,
        claimant: str,
        clock: Any,
        wall: Callable[[], float],
        limits: RestLimits | None = None,
    ) -> None:
        self._store = store
        self._claimant = claimant
        self._clock = clock
        self._wall = wall
        self._limits = limits or RestLimits()
        self._working: dict[RepeatKey, list[Deferred[None]]] = {}
        self._late: dict[RepeatKey, Callable[[], Deferred[None]]] = {}

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
        with self._alone(named):
            found = await self._claim(named, digest)
            if found.answer is not None:
                return msgspec.json.decode(found.answer, type=kind)
            return await self._do(named, found, work)

    @contextlib.contextmanager
    def _alone(self, named: RepeatKey) -> Iterator[None]:
        """Within: nothing else is done with this key here."""
        waiting = self._working[named] = []
        try:
            yield
        finally:
            del self._working[named]
            for each in waiting:
                if not each.called:
                    each.callback(None)

    async def _claim(self, named: RepeatKey, digest: bytes) -> Repeat:
        most = self._limits.repeats_late
        end = self._clock.seconds() + self._limits.repeat_wait
        while True:
            try:
                found = await self._store.claim_repeat(named, digest, self._claimant, self._wall())
            except Unavailable:  # it may be claimed nevertheless
                if named not in self._late and self._has_room(named, most // 2):
                    self._late[named] = partial(self._store.doubt_repeat, named, self._claimant)
                raise
            if found.ours or found.answer is not None:
                return found
            if self._clock.seconds() > end:
                raise Unavailable(
                    "the first request with this Idempotency-Key is still in work",
                    hint="repeat it in some seconds",
                )
            await deferLater(self._clock, LOOK_SECONDS)

    async def _do(self, named: RepeatKey, found: Repeat, work: Callable[[bool], Awaitable[T]]) -> T:
        self._late.pop(named, None)
        store, mine = self._store, self._claimant
        try:
            answer = await work(found.doubtful)
        except BaseException as error:
            sure = isinstance(error, CloveError) and not isinstance(error, _UNSURE)
            give_up = store.drop_repeat if sure and not found.doubtful else store.doubt_repeat
            try:
                await self._tell(named, partial(give_up, named, mine))
            except CloveError as problem:
                self.log.warn("an idempotency key is given up later: {error}", error=str(problem))
            raise
        await self._tell(
            named, partial(store.finish_repeat, named, mine, msgspec.json.encode(answer))
        )
        return answer

    async def _tell(self, named: RepeatKey, tell: Callable[[], Deferred[None]]) -> None:
        """Tell the store; while it does not answer, later (L{tell_late}): other relays wait for it.

        @raise Unavailable: it is told later.
        """
        try:
            await tell()
        except CloveError:
            if named in self._late or self._has_room(named, self._limits.repeats_late):
                self._late[named] = tell
            raise

    def _has_room(self, named: RepeatKey, most: int) -> bool:
        """Whether one more of a token's keys may wait for the store, of so many of all."""
        own = sum(each.token_id == named.token_id for each in self._late)
        return len(self._late) < most and own < self._limits.repeats_late // LATE_SHARE

    async def tell_late(self) -> None:
        """Tell the store what it could not be told; every second.

        @raise Unavailable: not now.
        """
        for named, tell in list(self._late.items()):
            if named in self._working or self._late.get(named) is not tell:
                continue
            with self._alone(named):
                await tell()
                del self._late[named]
