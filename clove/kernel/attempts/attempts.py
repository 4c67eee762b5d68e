"""Makes attempts, each in a sandbox of its own, in turn and no longer than allowed.

A throw-away sandbox has the profile of the one who is asked about, and neither its
socket nor its id, environment, cgroup or gateway: what happens in it is nobody's.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout

from clove.errors import CloveError, LimitExceeded, TimedOut, Unavailable
from clove.kernel.attempts.outcome import Outcome, shown
from clove.kernel.attempts.question import Question, question
from clove.kernel.attempts.trial import Trial
from clove.kernel.lane import Lane
from clove.kernel.principal import Kind
from clove.kernel.threads import to_the_end
from clove.kernel.turns import Turn, Turns
from clove.sandbox.exec_filter import exec_filter

if TYPE_CHECKING:
    from clove.kernel.agents.profile import Throwaway
    from clove.kernel.attempts.limits import AttemptLimits
    from clove.kernel.gateway import Gateways
    from clove.kernel.gateway.gateway import Gateway
    from clove.kernel.principal import Principal
    from clove.sandbox.launcher import Launcher

__all__ = ["Attempts"]

WORDS_ALONE: Final = "`attempt: false` asks policy alone"
FIRST_NUMBER: Final = 1 << 40
"""Attempts are counted from here, apart from the ids, which users of the host go by."""
NOWHERE: Final = "it has no files, commands or network of this host"


class Attempts:
    """The attempts of a kernel.

    @param library: directory of the `clove` package.
    @param places: gives places like a principal's, under a number.
    @param forget: takes away what belongs to a number.
    @param report: the isolation of a sandbox and its cgroup, as SPAWN reports it.
    """

    def __init__(
        self,
        clock: Any,
        launcher: Launcher,
        gateways: Gateways,
        limits: AttemptLimits,
        *,
        library: str,
        places: Callable[[Principal, int], Awaitable[Throwaway]],
        forget: Callable[[int], Awaitable[None]],
        report: Callable[[Any, Any], Mapping[str, Any]],
    ) -> None:
        self._clock = clock
        self._launcher = launcher
        self._gateways = gateways
        self._limits = limits
        self._library = library
        self._numbers = itertools.count(FIRST_NUMBER)
        self._places = places
        self._forget = forget
        self._report = report
        at_once = limits.at_once + limits.for_operators
        turns = Turns(at_once, limits.per_family, limits.for_operators)
        others = "other attempts are being made"
        self._lane = Lane(clock, turns, limits.turn_timeout, others, WORDS_ALONE)
        self._callers: Counter[int] = Counter()
        self._running: set[Deferred[Outcome]] = set()
        self._stopping = False

    async def make(
        self, caller: Principal, principal: Principal, syscall: str, arguments: Mapping[str, Any]
    ) -> Outcome:
        """Try what a syscall would do for a principal.

        @param caller: whom it counts for, with its family.
        @raise LimitExceeded: the caller, or all of them, ask for too many now.
        @raise TimedOut: it took too long.
        @raise Unavailable: the principal has no sandbox now.
        """
        asked = question(syscall, arguments)
        if asked.reason:
            return Outcome(detail=asked.reason)
        if principal.view is None and principal.kind is not Kind.AGENT:
            return Outcome(detail=NOWHERE)
        self._check_room(caller.agent_id)
        turn = Turn(caller.family, caller.agent_id)
        self._callers[turn.caller] += 1
        running = Deferred.fromCoroutine(self._in_turn(turn, principal, asked))
        self._running.add(running)
        try:
            return await running
        finally:
            self._running.discard(running)
            self._callers[turn.caller] -= 1
            if not self._callers[turn.caller]:
                del self._callers[turn.caller]

    def _check_room(self, caller_id: int) -> None:
        most = self._limits.per_caller
        if self._stopping:
            raise Unavailable("the kernel is stopping")
        if self._callers[caller_id] >= most:
            raise LimitExceeded(
                f"at most {most} attempts of one caller at a time",
                hint=f"await an answer before asking more; {WORDS_ALONE}",
            )

    async def _in_turn(self, turn: Turn, principal: Principal, asked: Question) -> Outcome:
        await self._started(turn.caller, principal)
        async with self._lane.within(turn):
            return await self._make(principal, asked)

    async def _started(self, caller_id: int, principal: Principal) -> None:
        """Wait until an agent has its first sandbox; for its own question, that of this run.

        Others learn of one that waits to be restarted what held in its last run.
        """
        own = caller_id == principal.agent_id
        if principal.view is not None or not (own or principal.shown is None):
            return
        waiting = Deferred.fromCoroutine(principal.own_view())
        try:
            await waiting.addTimeout(self._limits.start_timeout, self._clock)
        except DeferredTimeout:
            raise Unavailable(
                "the agent is not running yet", hint=f"try again when it is; {WORDS_ALONE}"
            ) from None

    async def _make(self, principal: Principal, asked: Question) -> Outcome:
        number = next(self._numbers)
        trial = Trial(asked.tried, self._limits.output_bytes)
        try:
            places = await self._places(principal, number)
            gateway = self._gateway(principal, trial) if asked.host else None
            try:
                return await self._run(places, asked, trial, gateway)
            finally:
                if gateway is not None:
                    gateway.close()
        finally:
            await to_the_end(Deferred.fromCoroutine(self._forget(number)))  # type: ignore[arg-type]

    def _gateway(self, principal: Principal, trial: Trial) -> Gateway:
        return self._gateways.open(
            principal,
            trial.log,
            refused=trial.refused,
            carried=trial.carried,
            opened=trial.opened,
        )

    async def _run(
        self, places: Throwaway, asked: Question, trial: Trial, gateway: Gateway | None
    ) -> Outcome:
        """Start it, wait until all is known, and until nothing is left."""
        words = self._words(places, asked)
        made = places.reliably().running(self._library, json.dumps(words))
        take = _close_all if gateway is None else gateway.adopt
        try:
            sandbox = await self._launcher.launch(made.spec, trial.take, made.fallback, take)
        except (CloveError, OSError) as error:
            text = getattr(error, "message", str(error))
            return Outcome(tried=asked.tried, detail=f"no such sandbox could be made: {text}")
        isolation = self._report(sandbox, places.cgroup) if made.spec.namespaces else {}
        sandbox.done.addCallback(trial.ended)
        try:
            await trial.over.addTimeout(self._limits.timeout, self._clock)
        except DeferredTimeout:
            raise TimedOut(
                f"the attempt was not over within {self._limits.timeout:g} seconds",
                hint=WORDS_ALONE,
            ) from None
        finally:
            sandbox.kill()
            await to_the_end(trial.gone)
        return _weighed(replace(trial.outcome(), sandbox=isolation), made.word_of)

    def _words(self, places: Throwaway, asked: Question) -> dict[str, Any]:
        """What the program is told."""
        words = dict(asked.words)
        if asked.host:
            words["gateway"] = places.spec.egress is not None
            words["seconds"] = self._limits.connect_timeout
        if words["what"] == "EXEC":
            words["filter"] = exec_filter(os.uname().machine)
        return words

    async def stop(self) -> None:
        """End what is being made, and make no more."""
        self._stopping = True
        running = list(self._running)
        for each in running:
            each.cancel()
        await DeferredList(running, consumeErrors=True)


def _weighed(outcome: Outcome, word_of: str) -> Outcome:
    """How far it can be relied on.

    @param word_of: see L{Throwaway}.
    """
    if not word_of:
        return outcome
    said = f"so says the agent's own interpreter, {shown(word_of)}, which may be any program"
    detail = f"{said}: {outcome.detail}" if outcome.detail else said
    return replace(outcome, reliable=False, detail=detail)


def _close_all(descriptors: list[int]) -> None:
    """A way to the network that nobody needs."""
    for descriptor in descriptors:
        os.close(descriptor)
