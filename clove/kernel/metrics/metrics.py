"""Metrics of the machine, of agents and of cgroups, read on request."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from clove.errors import NotFound
from clove.kernel.metrics.in_threads import (
    make_text,
    read_all,
    read_asked,
    read_own,
    read_system,
)
from clove.kernel.metrics.limits import MetricsLimits
from clove.kernel.metrics.recent import Recent
from clove.kernel.metrics.sampling import AgentCpu, SystemCpu
from clove.kernel.metrics.sources import Asker, Caller, Records
from clove.kernel.metrics.subject import NOTHING, Subject, connected, spawned
from clove.messages.metrics import (
    AgentMetrics,
    CgroupMetrics,
    Cpu,
    LLMFigures,
    Process,
    ProcessCpu,
    ProcessMemory,
    ReactorTurns,
    SystemMetrics,
)
from clove.sharing.shares import OPERATORS

if TYPE_CHECKING:
    from clove.kernel.metrics.readings import AgentReading

    _Recent = Recent[tuple[int, str | None], AgentReading]

__all__ = ["Metrics", "Pool"]

P = ParamSpec("P")
T = TypeVar("T")

CGROUP_ROOT = "/sys/fs/cgroup"
BATCH: Final = 64
"""Agents that are read, and shown, before other requests are served."""


_Wanted = tuple[int, str | None]
"""An agent's main process and its cgroup; (0, None): it has neither."""


class Pool(Protocol):
    """Where functions that block are run: the kernel's L{clove.threads.threads.Threads}."""

    def of(self, path: tuple[int, ...]) -> Pool:
        """The same, in a caller's turn."""

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call the function in a thread."""


class Metrics:
    """Figures at the moment they are asked for; files are read in threads."""

    def __init__(
        self,
        clock: IReactorTime,
        threads: Pool,
        agents: Records,
        callers: Iterable[Caller] = (),
        *,
        llm_usage: Callable[[int], object] | None = None,
        traffic: Callable[[], tuple[int, int, int]] = lambda: (0, 0, 0),
        limits: MetricsLimits | None = None,
        turns: ReactorTurns | None = None,
        next_turn: Callable[[int], Awaitable[None]] = lambda family: succeed(None),
        begun: Callable[[int], AbstractAsyncContextManager[None]] = lambda family: nullcontext(),
        compiled: bool = False,
        cgroup_root: str = CGROUP_ROOT,
        proc: str = "/proc",
    ) -> None:
        """Read nothing yet.

        @param agents: the spawned agents.
        @param callers: live principals, spawned or not (the registry).
        @param llm_usage: what an agent has used, with the fields or attributes of L{LLMFigures}.
        @param turns: of the reactor, as the watchdog counts them.
        @param next_turn: as L{clove.kernel.loop_time.LoopTime} has it, and so is C{begun}.
        @param compiled: connections are served by the compiled part.
        @param traffic: connections of sandboxed agents now, bytes sent, bytes received.
        """
        self._clock, self._threads = clock, threads
        self._agents, self._callers = agents, callers
        self._llm_usage = llm_usage
        self._traffic = traffic
        self._turns, self._compiled = turns or ReactorTurns(), compiled
        self._next_turn, self._begun = next_turn, begun
        self._limits = limits = limits or MetricsLimits()
        self._cgroup_root, self._proc = cgroup_root, proc
        self._system_cpu = SystemCpu()
        self._system: tuple[float, SystemMetrics] | None = None
        ticks = int(limits.min_interval * os.sysconf("SC_CLK_TCK"))
        self._agent_cpu = AgentCpu(max(1, ticks))
        self._recent: _Recent = Recent(clock, limits.min_interval, limits.max_waiting)

    def _pool(self, asker: Asker | None) -> Pool:
        """The pool of threads that reads for a caller; None: for the kernel itself."""
        return self._threads if asker is None else self._threads.of(asker.path)

    async def system(self, asker: Asker | None = None) -> SystemMetrics:
        """The machine's metrics; the last figures again if they were just read.

        @param asker: the caller, whose turns the reading takes; None: the kernel itself.
        """
        now = self._clock.seconds()
        if self._system is not None and 0 <= now - self._system[0] < self._limits.min_interval:
            return self._system[1]
        reading = await self._pool(asker).run(read_system, self._proc)
        percent = self._system_cpu.percent(reading.ticks) or [0.0]
        metrics = SystemMetrics(
            cpu=Cpu(
                percent=percent[0],
                per_core=percent[1:],
                count=len(percent) - 1,
                load_avg=tuple(reading.load),
            ),
            memory=reading.memory,
            disk=reading.disk,
            network=reading.network,
            reactor=self._turns,
            compiled=self._compiled,
        )
        self._system = (now, metrics)
        return metrics

    async def agent(self, agent_id: int, asker: Asker | None = None) -> AgentMetrics:
        """One agent's metrics.

        @raise NotFound: no such agent.
        """
        subject = self._subjects([agent_id])
        if not subject:
            raise NotFound(f"no agent with id {agent_id}", hint="LIST shows the agents")
        found = await self._read(subject, asker)
        self._forget_gone()
        return found[0]

    async def all_agents(
        self, visible: Callable[[int], bool] | None = None, asker: Asker | None = None
    ) -> tuple[list[AgentMetrics], bool]:
        """Metrics of agents by ascending id, and whether some were left out.

        They are read some at a time: each is shown as it is then, and none that has ended meanwhile.

        @param visible: which agents; None: all.
        """
        known = {caller.agent_id for caller in self._callers}
        known.update(record.agent_id for record in self._agents.records())
        chosen = sorted(known if visible is None else filter(visible, known))
        most = self._limits.max_agents
        family = OPERATORS if asker is None else asker.family
        found: list[AgentMetrics] = []
        # What was found is held between two batches.
        async with self._begun(family) if len(chosen) > BATCH else nullcontext():
            for first in range(0, min(len(chosen), most), BATCH):
                if first:
                    await self._next_turn(family)
                some = chosen[first : min(first + BATCH, most)]
                found += await self._read(self._subjects(some), asker)
        self._forget_gone()
        return found, len(chosen) > most

    async def cgroup(
        self,
        path: str | None = None,
        visible: frozenset[int] | None = None,
        own: int = 0,
        asker: Asker | None = None,
    ) -> CgroupMetrics:
        """A cgroup's metrics.

        @param path: absolute or relative to the mount; None: that of the agent
            `own`, else (for operators) the kernel's, else figures that are not valid.
        @param visible: agents, in the cgroup of one of which it must be; None: anywhere.
        @raise InvalidRequest: not a path of a cgroup.
        @raise PermissionDenied: none that may be seen (rule `cgroup-subtree`).
        @raise NotFound: there is none.
        """
        cgroups = {record.agent_id: record.cgroup for record in self._agents.records()}
        if path is None:
            mine = cgroups.get(own)
            if mine is None and visible is not None:
                return CgroupMetrics()
            return await self._pool(asker).run(read_own, mine, self._proc, self._cgroup_root)
        allowed = None
        if visible is not None:
            allowed = [cgroup for id, cgroup in cgroups.items() if cgroup and id in visible]
        return await self._pool(asker).run(read_asked, path, self._cgroup_root, allowed)

    def prometheus(self) -> Deferred[bytes]:
        """Everything in Prometheus' text format (version 0.0.4)."""
        return Deferred.fromCoroutine(self._prometheus())

    async def _prometheus(self) -> bytes:
        spawned = {record.agent_id for record in self._agents.records()}
        system = await self.system()
        agents, truncated = await self.all_agents(spawned.__contains__)
        clients = sum(caller.agent_id not in spawned for caller in self._callers)
        traffic = self._traffic()
        # Of a thousand agents the text takes 11 ms to make.
        return await self._threads.run(make_text, system, agents, clients, truncated, traffic)

    def _subjects(self, agent_ids: Collection[int]) -> list[Subject]:
        """Those of some agents that are alive or have a record, in their order."""
        wanted = set(agent_ids)
        subjects = {
            caller.agent_id: connected(caller)
            for caller in self._callers
            if caller.agent_id in wanted
        }
        for record in self._agents.records():
            if record.agent_id in wanted:
                caller = subjects.get(record.agent_id) or NOTHING
                subjects[record.agent_id] = spawned(record, caller)
        return [subjects[agent_id] for agent_id in agent_ids if agent_id in subjects]

    def _forget_gone(self) -> None:
        self._agent_cpu.keep_only([record.agent_id for record in self._agents.records()])

    def _llm(self, subject: Subject) -> LLMFigures:
        """What it has used; before its first call its budget is what its permissions say."""
        if self._llm_usage is None:
            return LLMFigures(budget=subject.budget)
        used = self._llm_usage(subject.agent_id)
        figures = msgspec.convert(used, LLMFigures, from_attributes=True)
        return (
            figures if figures.budget else msgspec.structs.replace(figures, budget=subject.budget)
        )

    async def _read(self, subjects: list[Subject], asker: Asker | None) -> list[AgentMetrics]:
        def read(wanted: list[_Wanted]) -> Deferred[list[AgentReading]]:
            most = self._limits.max_processes
            return self._pool(asker).run(read_all, self._proc, wanted, most)

        family = OPERATORS if asker is None else asker.family
        wanted = [(subject.pid, subject.cgroup) for subject in subjects]
        readings = await self._recent.get(family, wanted, read)
        return [
            self._assemble(subject, reading)
            for subject, reading in zip(subjects, readings, strict=True)
        ]

    def _assemble(self, subject: Subject, reading: AgentReading) -> AgentMetrics:
        percent = self._agent_cpu.percent(
            subject.agent_id, reading.pid, reading.ticks, reading.started, reading.now
        )
        return AgentMetrics(
            agent_id=subject.agent_id,
            name=subject.name,
            status=subject.status,
            uptime_ms=subject.uptime_ms,
            parent_id=subject.parent_id,
            restarts=subject.restarts,
            process=Process(
                pid=reading.pid,
                cpu=ProcessCpu(percent=percent),
                memory=ProcessMemory(rss=reading.rss, vms=reading.vms),
                threads=reading.threads,
                fds=reading.fds,
            ),
            cgroup=reading.cgroup,
            syscalls=subject.syscalls,
            llm=self._llm(subject),
            limits=subject.limits,
            outstanding=subject.outstanding,
        )
