"""The kernel's zygote: one process that serves, and the next one when it is time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError
from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
from clove.sandbox.cgroup.tree import CgroupTree
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.id_maps import IdMaps
from clove.sandbox.layout import System
from clove.sandbox.spec import SandboxSpec
from clove.sandbox.zygote.child import MountDescriptors, NewChild
from clove.sandbox.zygote.ids import IdRange
from clove.sandbox.zygote.prefork_pool import PreforkPool
from clove.sandbox.zygote.process import ZygoteProcess
from clove.sandbox.zygote.settings import ZygoteSettings
from clove.supervisor import RestartPolicy, Supervisor
from clove.threads.threads import Threads, to_the_end

__all__ = ["Zygote"]

RESTARTS: Final = RestartPolicy(first_delay=0.1, longest_delay=60.0, healthy_after=60.0)
CLIENT = "clove.client.blocking"
"""What every agent needs; always loaded."""
WARM_UP = "clove.client.warmup"


class Zygote:
    """Forks agents, if it can.

    @param base: makes the spec that all agents have in common; blocking.
    @param python: the interpreter that runs it.
    @param ids: None for a kernel without root.
    @param cgroups: where it and its children shall be; None where there are none.
    @param id_maps: for mounts whose owners an agent's user is.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        settings: ZygoteSettings,
        base: Callable[[], SandboxSpec],
        python: str,
        ids: IdRange | None,
        cgroups: CgroupTree | None,
        id_maps: IdMaps | None = None,
    ) -> None:
        self._reactor = reactor
        self._threads = threads
        self._settings = settings
        self._make_base = base
        self._python = python
        self._ids = ids
        self._cgroups = cgroups
        self._id_maps = id_maps
        self._current: ZygoteProcess | None = None
        self._all: set[ZygoteProcess] = set()
        self._next: ZygoteProcess | None = None
        self._is_looking_up = False
        self._began_at = 0.0
        self._waiting: set[Deferred[None]] = set()
        self._supervisor = Supervisor(RESTARTS)
        self._ready_at = 0.0
        self._later: IDelayedCall | None = None
        self._timeout: IDelayedCall | None = None
        self._stopping = False
        self._stopped: Deferred[None] = Deferred()
        self.prefork_pool = PreforkPool(reactor, threads, settings.prefork, cgroups, self.fork)

    def start(self) -> None:
        """Begin, if the configuration says so."""
        if self._settings.enabled:
            self._begin()

    def _begin(self) -> None:
        self._later = None
        if self._next is not None or self._stopping:
            return
        if self._is_looking_up:  # for one that was ended: else each try would take another thread
            self._try_later("its root is still being looked up")
        else:
            self._began_at = self._reactor.seconds()
            Deferred.fromCoroutine(self._start_next()).addErrback(self._cannot)

    async def _start_next(self) -> None:
        """Start the next one; it says itself when it is ready.

        Its interpreter starts while its root is looked up.
        """
        process = ZygoteProcess(self._reactor, self._ready, self._gone)
        process.start(self._python)
        self._next = process
        self._all.add(process)
        self._timeout = self._reactor.callLater(self._settings.start_timeout, process.kill)
        held = MountDescriptors()
        self._is_looking_up = True
        try:
            if self._cgroups is not None:  # before it has used much
                await self._threads.run(self._cgroups.zygote.add, process.pid)
            system, base = await self._threads.run(self._look_up, held)
            process.begin(system, base, self._plan(base, held), held.trees)
        except Exception as error:
            process.fail(str(error))
        finally:
            self._is_looking_up = False
            held.close()

    def _look_up(self, held: MountDescriptors) -> tuple[System, SandboxSpec]:
        """What its root is made of. Blocking.

        @param held: gets what it cannot open itself.
        """
        system = System.of_host()
        base = system.apply(self._make_base())
        if self._ids is not None:
            held.open_mounts(base.binds)
        return system, base

    def _plan(self, base: SandboxSpec, held: MountDescriptors) -> dict[str, Any]:
        return {
            **base.to_json(),
            "binds": held.describe(base.binds),
            "ids": None if self._ids is None else self._ids.to_map(),
            "preload": [CLIENT, *self._settings.preload],
            "warm_up": WARM_UP,
        }

    def _cannot(self, failure: Failure) -> None:
        self._try_later(failure.getErrorMessage())

    def _ready(self, process: ZygoteProcess) -> None:
        self._no_timeout()
        retired, self._current, self._next = self._current, process, None
        self._ready_at = self._reactor.seconds()
        self._supervisor.ready()
        if retired is not None:
            retired.retire()
        self._end_waiting()
        self.prefork_pool.renew()

    def _gone(self, process: ZygoteProcess, reason: str) -> None:
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
            self._try_later(reason, served=self._reactor.seconds() - self._ready_at)

    def _try_later(self, reason: str, served: float | None = None) -> None:
        """Have another one start, unless that is to happen already.

        @param served: seconds for which the one that ended was there; None: it never was.
        """
        self._end_waiting()
        if self._stopping:
            return
        now = self._reactor.seconds()
        if self._later is None:
            delay = self._supervisor.ended(now, served=served).delay
            self._later = self._reactor.callLater(delay, self._begin)
        self.log.warn(
            "there is no zygote, agents start cold ({reason}); next try in {wait} s",
            reason=reason,
            wait=round(self._later.getTime() - now, 1),
        )

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
        self._end_waiting()
        self.prefork_pool.stop()
        for process in list(self._all):
            process.kill()
        if not self._all and not self._stopped.called:
            self._stopped.callback(None)
        return self._stopped

    async def fork(self, cgroup: AgentCgroup | None) -> NewChild | None:
        """Ask for a child, before it is known what will run in it.

        @param cgroup: to fork it into.
        @return: None: there can be none now.
        """
        await self._until_serving()
        if cgroup is None:
            return self._fork((), None)
        opened: list[int] = []
        opening = self._threads.run(cgroup.open).addCallback(opened.append)
        try:
            await to_the_end(
                opening
            )  # also when it is cancelled: else nothing closed what it opens
            return self._fork(tuple(opened), cgroup)
        except OSError:
            return None
        finally:
            for descriptor in opened:
                os.close(descriptor)

    async def _until_serving(self) -> None:
        """Wait for one that is starting, if none serves and it is not late."""
        left = self._began_at + self._settings.first_wait - self._reactor.seconds()
        starting = self._next is not None
        if self._current is not None or not starting or self._stopping or left <= 0:
            return
        waiting: Deferred[None] = Deferred()
        self._waiting.add(waiting)
        try:
            with contextlib.suppress(DeferredTimeout):
                await waiting.addTimeout(left, self._reactor)
        finally:
            self._waiting.discard(waiting)

    def _end_waiting(self) -> None:
        """What waits for a zygote goes on: there is one, or will be none soon."""
        for waiting in tuple(self._waiting):
            if not waiting.called:
                waiting.callback(None)

    def _fork(self, directory: tuple[int, ...], cgroup: AgentCgroup | None) -> NewChild | None:
        if self._current is None or not self._current.serving:
            return None
        try:
            child = ForkedProcess(self._reactor)
        except OSError as error:
            self.log.info("no child of the zygote: {error}", error=error.strerror)
            return None
        try:
            self._current.fork(child, (*child.inner_ends, *directory))
        except CloveError as error:
            self.log.info("no child of the zygote: {error}", error=error)
            child.abandon()
            child.lost()
            return None
        finally:
            child.close_inner_ends()
        if self._current.forks >= self._settings.renew_after and self._later is None:
            self._begin()
        if child.ended:  # it could not be asked for
            child.abandon()
            return None
        return NewChild(child, self._current, self._ids, cgroup, MountDescriptors(self._id_maps))

    def renew(self) -> None:
        """The one that serves is out of date: have another one started, which then replaces it."""
        if self._current is not None:
            self._begin()
