"""The kernel's nursery: one process that serves, and the next one when it is time."""

from __future__ import annotations

import os
from collections.abc import Callable
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
from clove.sandbox.nursery.child import NewChild
from clove.sandbox.nursery.handover import Handover
from clove.sandbox.nursery.ids import IdRange
from clove.sandbox.nursery.process import NurseryProcess
from clove.sandbox.nursery.settings import NurserySettings
from clove.sandbox.nursery.spares import Spares
from clove.sandbox.spec import SandboxSpec

__all__ = ["Nursery"]

SHORTEST_WAIT = 0.1
LONGEST_WAIT = 60.0
HEALTHY_AFTER = 60.0
"""Seconds that a nursery must have served for its end to be no sign of trouble."""
CLIENT = "clove.client.blocking"
"""What every agent needs; always loaded."""
REHEARSAL = "clove.client.rehearsal"


class Nursery:
    """Forks agents, if it can.

    @param base: makes the spec that all agents have in common; blocking.
    @param python: the interpreter that runs it.
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
        self._all: set[NurseryProcess] = set()
        self._beginning: Deferred[None] | None = None
        self._next: NurseryProcess | None = None
        self._wait = SHORTEST_WAIT
        self._since = 0.0
        self._later: IDelayedCall | None = None
        self._timeout: IDelayedCall | None = None
        self._stopping = False
        self._stopped: Deferred[None] = Deferred()
        self.spares = Spares(reactor, threads, settings.spares, cgroups, self.fork)

    def start(self) -> None:
        """Begin, if the configuration says so; agents start cold until it is ready."""
        if self._settings.enabled:
            self._begin()

    def _begin(self) -> None:
        self._later = None
        if self._next is None and self._beginning is None and not self._stopping:
            self._beginning = Deferred.fromCoroutine(self._start_next())
            self._beginning.addErrback(self._cannot)

    async def _start_next(self) -> None:
        """Start the next one; it says itself when it is ready."""
        held = Handover()
        try:
            system = await self._threads.run(System.survey)
            base = system.apply(await self._threads.run(self._make_base))
            if self._ids is not None:
                await self._threads.run(held.take, base.binds)
            if self._stopping:
                return
            process = NurseryProcess(self._reactor, system, base, self._ready, self._gone)
            process.start(self._python)
            self._next = process
            self._all.add(process)
            self._timeout = self._reactor.callLater(self._settings.start_timeout, process.kill)
            try:
                if self._cgroups is not None:  # before it has used anything
                    await self._threads.run(self._cgroups.nursery.add, process.pid)
                process.begin(self._plan(base, held), held.trees)
            except (CloveError, OSError) as error:
                process.fail(str(error))
        finally:
            held.close()
            self._beginning = None

    def _plan(self, base: SandboxSpec, held: Handover) -> dict[str, Any]:
        return {
            **base.to_json(),
            "binds": held.describe(base.binds),
            "ids": None if self._ids is None else self._ids.to_map(),
            "preload": [CLIENT, *self._settings.preload],
            "rehearsal": REHEARSAL,
        }

    def _cannot(self, failure: Failure) -> None:
        self._try_later(failure.getErrorMessage())

    def _ready(self, process: NurseryProcess) -> None:
        self._no_timeout()
        retired, self._current, self._next = self._current, process, None
        self._since = self._reactor.seconds()
        if retired is not None:
            retired.retire()
        self.spares.renew()

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
        self.spares.stop()
        for process in list(self._all):
            process.kill()
        if not self._all and not self._stopped.called:
            self._stopped.callback(None)
        return self._stopped

    async def fork(self, cgroup: AgentCgroup | None) -> NewChild | None:
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
        try:
            child = ForkedProcess(self._reactor)
        except OSError as error:
            self.log.info("no child of the nursery: {error}", error=error.strerror)
            return None
        try:
            self._current.fork(child, (*child.inner_ends, *place))
        except CloveError as error:
            self.log.info("no child of the nursery: {error}", error=error)
            child.abandon()
            child.lost()
            return None
        finally:
            child.close_inner_ends()
        if self._current.forks >= self._settings.renew_after:
            self._begin()
        if child.ended:  # it could not be asked for
            child.abandon()
            return None
        return NewChild(child, self._current, self._ids, cgroup)

    def renew(self) -> None:
        """The one that serves is out of date: let another one take its place."""
        if self._current is not None:
            self._begin()
