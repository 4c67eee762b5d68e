"""The streams of agents that a relay has open: found again after a cut, bounded, and ended when nothing reads them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from clove.errors import CloveError, ConnectionLost, Unavailable
from clove.relay.absent import no_machine
from clove.relay.rest.agent_stream import AgentStream
from clove.relay.rest.reaching import kernel_of

if TYPE_CHECKING:
    from clove.relay.records import Identity
    from clove.relay.rest.context import Context
    from clove.relay.rest.limits import RestLimits

__all__ = ["Streams", "Wanted"]


class Wanted(NamedTuple):
    """What is to be read, and by whom.

    @ivar since: offset of the first byte.
    @ivar attached: hold the agent to the reader's pace.
    """

    identity: Identity
    machine_id: str
    agent_id: int
    since: int
    attached: bool


class _Open:
    """One stream.

    @ivar slot: a small number that no other open stream has: the kernel tells callers by their names.
    """

    def __init__(self, stream: AgentStream, key: object, token_id: str, slot: int) -> None:
        self.stream = stream
        self.key = key
        self.token_id = token_id
        self.slot = slot
        self.fetching: Deferred[None] | None = None
        self.expiry: Any = None


class Streams:
    """All of them."""

    log = Logger()

    def __init__(self, clock: Any, limits: RestLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._open: dict[int, _Open] = {}
        self._attached: dict[object, _Open] = {}

    @contextlib.asynccontextmanager
    async def reading(self, context: Context, wanted: Wanted) -> AsyncIterator[AgentStream]:
        """A stream to be read in the block; an attached one that is there already is gone on with.

        @raise CloveError: it cannot be read.
        """
        machine = await context.machines.reached(wanted.identity, wanted.machine_id)
        if machine is None:
            raise no_machine()
        # Another machine of that name, after this was removed, has other agents with the same numbers.
        of = (wanted.machine_id, machine.created)
        key = (wanted.identity.token_id, of, wanted.agent_id)
        found = self._attached.get(key) if wanted.attached else None
        if found is None:
            found = self._add(context, wanted, key)
        self._stop_expiry(found)
        stream = found.stream
        stop_watching = context.machines.watch(
            wanted.identity, wanted.machine_id, lambda reason: stream.cut_off()
        )
        try:
            await stream.until_open()
            yield stream
        finally:
            stop_watching()
            if stream.reader is None:
                self._left(found)

    def stop(self) -> None:
        """End all."""
        for each in list(self._open.values()):
            self._close(each)

    def _add(self, context: Context, wanted: Wanted, key: object) -> _Open:
        limits, token_id = self._limits, wanted.identity.token_id
        self._make_room(token_id)
        stream = AgentStream(
            self._clock,
            wanted.agent_id,
            wanted.since,
            limits.stream_kept,
            attached=wanted.attached,
        )
        slot = next(number for number in range(len(self._open) + 1) if number not in self._open)
        made = self._open[slot] = _Open(stream, key if wanted.attached else None, token_id, slot)
        if wanted.attached:
            self._attached[key] = made
        made.fetching = Deferred.fromCoroutine(self._fetch(context, wanted, made))
        made.fetching.addErrback(self._failed, made)
        return made

    def _make_room(self, token_id: str) -> None:
        """@raise Unavailable: there are too many, or too many of this token."""
        limits = self._limits
        counts = Counter(each.token_id for each in self._open.values())
        if counts.total() < limits.streams and counts[token_id] < limits.streams_per_token:
            return
        mine = counts[token_id] >= limits.streams_per_token
        for each in self._open.values():  # the oldest first
            if each.expiry is not None and not (mine and each.token_id != token_id):
                self._close(each)
                return
        raise Unavailable(
            "the relay has all the streams of agents' output that it may have",
            hint="read fewer at once; limits.rest.streams, limits.rest.streams_per_token",
        )

    async def _fetch(self, context: Context, wanted: Wanted, made: _Open) -> None:
        purpose = f"stream {made.slot}"
        async with kernel_of(context, wanted.identity, wanted.machine_id, purpose) as client:
            await made.stream.fetch(client)

    def _failed(self, failure: Any, made: _Open) -> None:
        if failure.check(CloveError):
            made.stream.fail(failure.value)
        elif failure.check(CancelledError):
            made.stream.fail(ConnectionLost("the relay has closed the stream", hint="read it anew"))
        else:
            self.log.failure("a stream could not be read", failure=failure)
            made.stream.fail(CloveError("internal error", hint="the relay's log has more"))
        if self._attached.get(made.key) is made:
            del self._attached[made.key]  # another is made by the next who asks

    def _left(self, found: _Open) -> None:
        """Nothing reads it."""
        if self._attached.get(found.key) is not found:
            self._close(found)
        elif found.expiry is None:
            found.expiry = self._clock.callLater(self._limits.stream_seconds, self._close, found)

    def _stop_expiry(self, found: _Open) -> None:
        expiry, found.expiry = found.expiry, None
        if expiry is not None and expiry.active():
            expiry.cancel()

    def _close(self, found: _Open) -> None:
        self._stop_expiry(found)
        self._open.pop(found.slot, None)
        if self._attached.get(found.key) is found:
            del self._attached[found.key]
        if found.fetching is not None:
            found.fetching.cancel()
