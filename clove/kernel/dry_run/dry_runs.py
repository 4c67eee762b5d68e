"""Makes dry runs, each in a sandbox of its own, in turn and no longer than allowed.

That sandbox is a clone of the one that the principal has, without its socket, id, environment,
cgroup and gateway: what happens in it is not charged to any principal. It is thrown away.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout

from clove.errors import CloveError, LimitExceeded, TimedOut, Unavailable
from clove.kernel.dry_run.outcome import Outcome, shown
from clove.kernel.dry_run.plan import Plan, plan_for
from clove.kernel.dry_run.run import Run
from clove.kernel.principal import Kind
from clove.sandbox.seccomp.exec_filter import exec_filter
from clove.sharing.fair_queue import FairQueue
from clove.sharing.fair_semaphore import FairSemaphore
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from clove.kernel.dry_run.limits import DryRunLimits
    from clove.kernel.launch.profile import Clone
    from clove.kernel.principal import Principal
    from clove.sandbox.launcher import Launcher

__all__ = ["DryRuns"]

POLICY_ALONE: Final = "`attempt: false` asks policy alone"
FIRST_NUMBER: Final = 1 << 40
"""Dry runs are numbered from here, apart from the agents' ids, which host uids are made of."""
NOWHERE: Final = "it has no files, commands or network of this host"


class Gateway(Protocol):
    """The way out of one sandbox (docs/egress.md)."""

    def adopt(self, fds: Sequence[int]) -> None:
        """Take over sockets that were made inside."""

    def close(self) -> None:
        """End all its connections."""


class Gateways(Protocol):
    """What opens gateways."""

    async def load(self) -> None:
        """Get ready to open one."""

    def open(
        self,
        principal: Principal,
        log: Callable[[bytes], None],
        *,
        refused: Callable[[Principal, str, int, str, str], None],
        carried: Callable[[Principal, str, int, int, int], None],
        opened: Callable[[str, int], None],
    ) -> Gateway:
        """Open one that judges connections as the principal's own does, and reports here."""


class DryRuns:
    """The dry runs of a kernel.

    @param library: directory of the `clove` package.
    @param clone: prepares a sandbox like a principal's, under a number.
    @param release: takes away what was prepared under a number.
    @param report: the isolation of a sandbox by its cgroup and the agent's limit of memory, as SPAWN reports it.
    """

    def __init__(
        self,
        clock: Any,
        launcher: Launcher,
        gateways: Gateways,
        limits: DryRunLimits,
        *,
        library: str,
        clone: Callable[[Principal, int], Awaitable[Clone]],
        release: Callable[[int], Awaitable[None]],
        report: Callable[[Any, Any, int], Mapping[str, Any]],
    ) -> None:
        self._clock = clock
        self._launcher = launcher
        self._gateways = gateways
        self._limits = limits
        self._library = library
        self._numbers = itertools.count(FIRST_NUMBER)
        self._clone = clone
        self._release = release
        self._report = report
        at_once = limits.at_once + limits.for_operators
        self._permits = FairSemaphore(
            clock,
            FairQueue(at_once, limits.per_family, limits.for_operators),
            limits.turn_timeout,
            "other dry runs are being made",
            POLICY_ALONE,
        )
        self._callers: Counter[int] = Counter()
        self._running: set[Deferred[Outcome]] = set()
        self._stopping = False

    async def make(
        self, caller: Principal, principal: Principal, syscall: str, arguments: Mapping[str, Any]
    ) -> Outcome:
        """Try what a syscall would do for a principal.

        @param caller: the principal that asks; it counts for its family.
        @raise LimitExceeded: the caller, or all of them, ask for too many now.
        @raise TimedOut: it took too long.
        @raise Unavailable: the principal has no sandbox now.
        """
        plan = plan_for(syscall, arguments)
        if plan.reason:
            return Outcome(detail=plan.reason)
        if principal.view is None and principal.kind is not Kind.AGENT:
            return Outcome(detail=NOWHERE)
        self._check_room(caller.agent_id)
        self._callers[caller.agent_id] += 1
        running = Deferred.fromCoroutine(self._in_turn(caller, principal, plan))
        self._running.add(running)
        try:
            return await running
        finally:
            self._running.discard(running)
            self._callers[caller.agent_id] -= 1
            if not self._callers[caller.agent_id]:
                del self._callers[caller.agent_id]

    def _check_room(self, caller_id: int) -> None:
        most = self._limits.per_caller
        if self._stopping:
            raise Unavailable("the kernel is stopping")
        if self._callers[caller_id] >= most:
            raise LimitExceeded(
                f"at most {most} dry runs of one caller at a time",
                hint=f"await an answer before asking more; {POLICY_ALONE}",
            )

    async def _in_turn(self, caller: Principal, principal: Principal, plan: Plan) -> Outcome:
        await self._started(caller.agent_id, principal)
        async with self._permits.permit(caller.path):
            return await self._make(principal, plan)

    async def _started(self, caller_id: int, principal: Principal) -> None:
        """Wait until an agent has its first sandbox; when it asks itself, that of this run.

        For other callers, an agent that waits to be restarted is judged by its last run.
        """
        own = caller_id == principal.agent_id
        if principal.view is not None or not (own or principal.mounted is None):
            return
        waiting = Deferred.fromCoroutine(principal.own_view())
        try:
            await waiting.addTimeout(self._limits.start_timeout, self._clock)
        except DeferredTimeout:
            raise Unavailable(
                "the agent is not running yet", hint=f"try again when it is; {POLICY_ALONE}"
            ) from None

    async def _make(self, principal: Principal, plan: Plan) -> Outcome:
        number = next(self._numbers)
        run = Run(plan.tried, self._limits.output_bytes)
        try:
            clone = await self._clone(principal, number)
            gateway = await self._gateway(principal, run) if plan.host else None
            try:
                return await self._launch(clone, plan, run, gateway)
            finally:
                if gateway is not None:
                    gateway.close()
        finally:
            await to_the_end(Deferred.fromCoroutine(self._release(number)))  # type: ignore[arg-type]

    async def _gateway(self, principal: Principal, run: Run) -> Gateway:
        await self._gateways.load()
        return self._gateways.open(
            principal,
            run.append_remark,
            refused=run.refused,
            carried=run.carried,
            opened=run.opened,
        )

    async def _launch(self, clone: Clone, plan: Plan, run: Run, gateway: Gateway | None) -> Outcome:
        """Start it, wait until its outcome is known, and until nothing of it is left."""
        instructions = self._instructions(clone, plan)
        made = clone.with_trusted_interpreter().with_dry_run(
            self._library, json.dumps(instructions)
        )
        adopt = _close_all if gateway is None else gateway.adopt
        try:
            sandbox = await self._launcher.launch(
                made.spec, run.append_output, made.fallback, adopt
            )
        except (CloveError, OSError) as error:
            text = getattr(error, "message", str(error))
            return Outcome(tried=plan.tried, detail=f"no such sandbox could be made: {text}")
        isolation: Mapping[str, Any] = {}
        if made.spec.namespaces:
            isolation = self._report(sandbox, clone.cgroup, clone.memory)
        sandbox.done.addCallback(run.ended)
        try:
            await run.over.addTimeout(self._limits.timeout, self._clock)
        except DeferredTimeout:
            raise TimedOut(
                f"the dry run was not over within {self._limits.timeout:g} seconds",
                hint=POLICY_ALONE,
            ) from None
        finally:
            sandbox.kill()
            await to_the_end(run.gone)
        return _marked(replace(run.outcome(), sandbox=isolation), made.reported_by)

    def _instructions(self, clone: Clone, plan: Plan) -> dict[str, Any]:
        """What the program gets."""
        instructions = dict(plan.instructions)
        if plan.host:
            instructions["gateway"] = clone.spec.egress is not None
            instructions["seconds"] = self._limits.connect_timeout
        if instructions["what"] == "EXEC":
            instructions["filter"] = exec_filter(os.uname().machine)
        return instructions

    async def stop(self) -> None:
        """Cancel the dry runs under way, and make no more."""
        self._stopping = True
        running = list(self._running)
        for each in running:
            each.cancel()
        await DeferredList(running, consumeErrors=True)


def _marked(outcome: Outcome, reported_by: str) -> Outcome:
    """The outcome, marked as not reliable where the agent's own interpreter reported it.

    @param reported_by: see L{Clone}.
    """
    if not reported_by:
        return outcome
    said = f"so says the agent's own interpreter, {shown(reported_by)}, which may be any program"
    detail = f"{said}: {outcome.detail}" if outcome.detail else said
    return replace(outcome, reliable=False, detail=detail)


def _close_all(descriptors: list[int]) -> None:
    """Close descriptors of the network that this run does not need."""
    for descriptor in descriptors:
        os.close(descriptor)
