"""The kernel's nursery: one process that serves, and the next one when it is time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError
from clove.kernel.threads import Threads
from clove.sandbox.agent_cgroup import AgentCgroup
from clove.sandbox.cgroups import CgroupTree
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.layout import System
from clove.sandbox.namespaces import INSIDE_ID
from clove.sandbox.nursery.base import beyond, suits
from clove.sandbox.nursery.handover import Handover
from clove.sandbox.nursery.process import NurseryProcess
from clove.sandbox.nursery.roots import MOST_TREES
from clove.sandbox.nursery.settings import NurserySettings
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import SandboxSpec

__all__ = ["IdRange", "NewChild", "Nursery"]

SHORTEST_WAIT = 0.1
LONGEST_WAIT = 60.0
REFILL_SECONDS = 0.005
"""From taking a spare to making the next one: by then its taker needs the processors less."""
HEALTHY_AFTER = 60.0
"""Seconds that a nursery must have served for its end to be no sign of trouble."""
CLIENT = "clove.client.blocking"
"""What every agent needs; always loaded."""
USERS = 65536
AGENTS_INSIDE = 2000
"""The first agent's user, as the nursery's user namespace has it."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """Under a root kernel: the users of agents, and the nursery's own after them.

    @ivar base: the first one; there are 65536.
    """

    base: int

    @property
    def nursery(self) -> int:
        """The nursery's own user and group."""
        return self.base + USERS

    def to_map(self) -> list[list[int]]:
        """For the nursery's user namespace: [inside, outside, count]."""
        return [[INSIDE_ID, self.nursery, 1], [AGENTS_INSIDE, self.base, USERS]]

    def inside(self, uid: int) -> int:
        """An agent's user, as the nursery's namespace has it."""
        return uid - self.base + AGENTS_INSIDE


@dataclass(frozen=True, slots=True)
class NewChild:
    """A child that waits to be told what it is.

    @ivar nursery: whose root it has.
    @ivar cgroup: it was born in it.
    """

    process: ForkedProcess
    nursery: NurseryProcess
    cgroup: AgentCgroup | None = None

    def abandon(self) -> None:
        """Nobody wants it."""
        self.process.abandon()


class Nursery:
    """Forks agents, if it can.

    @param base: makes the spec that all agents have in common; blocking. Its
        first argument is the interpreter.
    @param ids: None for a kernel without root.
    @param cgroups: where it and its children shall be; None where there are none.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        settings: NurserySettings,
        base: Callable[[], SandboxSpec],
        python: str,
        ids: IdRange | None,
        cgroups: CgroupTree | None,
    ) -> None:
        self._reactor = reactor
        self._threads = threads
        self._settings = settings
        self._make_base = base
        self._python = python
        self._ids = ids
        self._cgroups = cgroups
        self._current: NurseryProcess | None = None
        self._next: NurseryProcess | None = None
        self._all: set[NurseryProcess] = set()
        self._wait = SHORTEST_WAIT
        self._since = 0.0
        self._later: IDelayedCall | None = None
        self._timeout: IDelayedCall | None = None
        self._beginning = False
        self._stopping = False
        self._stopped: Deferred[None] = Deferred()
        self._spares: deque[NewChild] = deque()
        self._expected = 0  # spares in the making
        self._named = 0
        self._refill: IDelayedCall | None = None

    # its life

    def start(self) -> None:
        """Begin, if the configuration says so; agents start cold until it is ready."""
        if self._settings.enabled:
            self._begin()

    def _begin(self) -> None:
        self._later = None
        if self._next is None and not self._beginning and not self._stopping:
            self._beginning = True
            Deferred.fromCoroutine(self._start_next()).addCallbacks(self._begun, self._cannot)

    def _begun(self, _: None) -> None:
        self._beginning = False

    async def _start_next(self) -> None:
        system = await self._threads.run(System.survey)
        base = system.apply(await self._threads.run(self._make_base))
        if self._stopping:
            return
        process = NurseryProcess(self._reactor, system, base, self._ready, self._gone)
        self._next = process
        plan: dict[str, Any] = {**base.to_json(), "preload": [CLIENT, *self._settings.preload]}
        plan["ids"] = None if self._ids is None else self._ids.to_map()
        held = Handover()
        try:
            if self._ids is not None:
                await self._threads.run(held.take, base.binds)
            process.start(self._python)
            self._all.add(process)
            self._timeout = self._reactor.callLater(self._settings.start_timeout, process.kill)
            if self._cgroups is not None:  # before it has used anything
                await self._threads.run(self._cgroups.nursery.add, process.pid)
            process.begin({**plan, "binds": held.describe(base.binds)}, held.trees)
        finally:
            held.close()

    def _cannot(self, failure: Failure) -> None:
        self._beginning = False
        self._next = None
        self._try_later(failure.getErrorMessage())

    def _ready(self, process: NurseryProcess) -> None:
        self._no_timeout()
        retired, self._current, self._next = self._current, process, None
        self._since = self._reactor.seconds()
        if retired is not None:
            retired.retire()
        while self._spares:  # they share what the retired one had
            self._discard(self._spares.popleft())
        self._fill()

    def _gone(self, process: NurseryProcess, reason: str) -> None:
        self._all.discard(process)
        if self._stopping:
            if not self._all:
                self._stopped.callback(None)
        elif process is self._next:
            self._no_timeout()
            self._next = None
            self._try_later(reason)
        elif process is self._current:
            self._current = None
            if self._reactor.seconds() - self._since >= HEALTHY_AFTER:
                self._wait = SHORTEST_WAIT
            self._try_later(reason)

    def _try_later(self, reason: str) -> None:
        self.log.warn(
            "there is no nursery, agents start cold ({reason}); next try in {wait} s",
            reason=reason,
            wait=self._wait,
        )
        if self._later is None and not self._stopping:
            self._later = self._reactor.callLater(self._wait, self._begin)
            self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _no_timeout(self) -> None:
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()

    def stop(self) -> Deferred[None]:
        """End it; fires when it is gone."""
        self._stopping = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._no_timeout()
        if self._refill is not None:
            self._refill.cancel()
            self._refill = None
        while self._spares:
            self._discard(self._spares.popleft())
        for process in list(self._all):
            process.kill()
        if not self._all and not self._stopped.called:
            self._stopped.callback(None)
        return self._stopped

    @property
    def pid(self) -> int:
        """The process that serves; 0: none does."""
        return self._current.pid if self._current is not None else 0

    # its children

    def spare(self) -> NewChild | None:
        """A child that waits for its spec since before it was wanted; None: there is none."""
        while self._spares:
            child = self._spares.popleft()
            if not child.process.ended:
                self._refill_soon()
                return child
            self._discard(child)
        return None

    def _refill_soon(self) -> None:
        if self._refill is None and not self._stopping:
            self._refill = self._reactor.callLater(REFILL_SECONDS, self._fill)

    def _fill(self) -> None:
        """Have as many spares as there shall be."""
        self._refill = None
        missing = self._settings.spares - len(self._spares) - self._expected
        for _ in range(missing):
            self._expected += 1
            Deferred.fromCoroutine(self._add_spare()).addBoth(self._added)

    async def _add_spare(self) -> None:
        cgroup = None
        if self._cgroups is not None:
            self._named += 1
            cgroup = await self._threads.run(self._cgroups.make, f"warm-{self._named}")
        child = None if self._stopping else await self.fork_into(cgroup)
        if child is not None:
            self._spares.append(child)
        elif cgroup is not None:
            await self._threads.run(cgroup.remove)

    def _added(self, result: object) -> None:
        self._expected -= 1
        if isinstance(result, Failure):
            self.log.info("no spare child: {error}", error=result.getErrorMessage())

    def _discard(self, child: NewChild) -> None:
        child.abandon()
        if child.cgroup is not None and not self._stopping:
            self._threads.run(child.cgroup.remove).addErrback(
                lambda failure: self.log.info(
                    "a spare's cgroup stays: {error}", error=failure.getErrorMessage()
                )
            )

    async def fork_into(self, cgroup: AgentCgroup | None) -> NewChild | None:
        """Ask for a child, before it is known what will run in it.

        @param cgroup: to be born in.
        @return: None: there can be none now.
        """
        if cgroup is None:
            return self._fork((), None)
        try:
            descriptor = await self._threads.run(cgroup.open)
        except OSError:
            return None
        try:
            return self._fork((descriptor,), cgroup)
        finally:
            os.close(descriptor)

    def _fork(self, place: tuple[int, ...], cgroup: AgentCgroup | None) -> NewChild | None:
        if self._current is None or not self._current.serving:
            return None
        child = ForkedProcess(self._reactor)
        try:
            self._current.fork(child, (*child.inner_ends, *place))
        except CloveError as error:
            self.log.info("no child of the nursery: {error}", error=error)
            child.abandon()
            return None
        finally:
            child.close_inner_ends()
        born = NewChild(child, self._current, cgroup)
        self._renew_in_time()
        return born

    def completed(self, child: NewChild, spec: SandboxSpec) -> SandboxSpec | None:
        """A spec with the system's parts, if a child can be what it says; else None."""
        nursery = child.nursery
        whole = nursery.system.apply(spec)
        if not suits(nursery.base, whole):
            return None
        more = beyond(nursery.base, whole)
        if self._ids is not None:
            return whole if len(more.binds) <= MOST_TREES else None
        if more.whole and nursery.mounts.changed():
            self._begin()  # it may not see what the kernel sees
            return None
        return whole

    async def settle(self, child: NewChild, sandbox: Sandbox) -> None:
        """Let a child be what the sandbox's spec says, which is a L{completed} one.

        @raise OSError: something of the spec cannot be had.
        """
        spec, more = sandbox.spec, beyond(child.nursery.base, sandbox.spec)
        held = Handover()
        try:
            if self._ids is not None:
                await self._threads.run(held.take, more.binds)
            facts: dict[str, Any] = {"binds": held.describe(more.binds), "beyond": None}
            facts["inside_uid"] = INSIDE_ID
            if self._ids is not None and spec.uid is not None:
                facts["inside_uid"] = self._ids.inside(spec.uid)
            if not more.whole:
                facts |= {"beyond": dict(more.files), "links": {}, "files": {}}
            sandbox.attach(child.process, child.process.control, facts, held.trees)
            child.process.adopt(sandbox.streams)  # which may hear of its end at once
        finally:
            held.close()

    def _renew_in_time(self) -> None:
        if self._current is not None and self._current.forks >= self._settings.renew_after:
            self._begin()
