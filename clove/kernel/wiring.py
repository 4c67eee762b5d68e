"""The one place where the kernel's parts are made and wired together."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

import clove
from clove.kernel.agents import Agents
from clove.kernel.agents.ancestry import AgentFinder
from clove.kernel.agents.launch import Places, report
from clove.kernel.agents.logbook import Logbook, LogFile, LogLimits, unwritten_shares
from clove.kernel.agents.logfiles import LogFiles
from clove.kernel.agents.plan import Host
from clove.kernel.agents.workspace import StateDir
from clove.kernel.attempts import Attempts
from clove.kernel.audit import AuditLog, SecurityFile
from clove.kernel.connection import KernelConnection
from clove.kernel.context import Kernel
from clove.kernel.descriptors import WANTED, agents_within, let_cores_be_off
from clove.kernel.dispatch import Dispatcher
from clove.kernel.egress import Egress, KnownHosts, host_resolver
from clove.kernel.events import EventBus
from clove.kernel.files import Commands
from clove.kernel.gateway import Gateways
from clove.kernel.listening import (
    ConnectionFactory,
    listen,
    raise_descriptors,
    stopped,
    within_descriptors,
)
from clove.kernel.llm import LLM
from clove.kernel.mail import Mailboxes
from clove.kernel.metrics import Metrics
from clove.kernel.pending import AsyncResults
from clove.kernel.registry import Registry
from clove.kernel.reports import Reports
from clove.kernel.sessions import Sessions
from clove.kernel.shares import OPERATORS
from clove.kernel.state import StateStore
from clove.kernel.table import TABLE
from clove.kernel.threads import Threads
from clove.sandbox.cgroups import CgroupsUnavailable, CgroupTree
from clove.sandbox.disposal import Disposal
from clove.sandbox.environment import public_environment
from clove.sandbox.host import HostView
from clove.sandbox.launcher import Launcher
from clove.sandbox.nursery.ids import IdRange
from clove.sandbox.nursery.nursery import Nursery

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.clocks import Wall
    from clove.kernel.config import Config
    from clove.kernel.principal import Principal
    from clove.messages.metrics import ReactorTurns
    from clove.policy import Permissions

__all__ = ["Parts"]


class Parts:
    """What a kernel is made of; what one part has to tell another goes through here.

    Making them takes the kernel's cgroups, and starts nothing.

    @ivar kernel: those that calls use.
    @ivar sessions: all connections.
    @ivar threads: for what blocks.
    @ivar disposal: for closes that may block.
    @param reactor: its clock is monotonic.
    @param kept: files that no agent may be given.
    @param wall: dates what people read.
    @param turns: what the watchdog has seen.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        state_dir: StateDir,
        kept: tuple[str, ...],
        wall: Wall = time.time,
        turns: ReactorTurns | None = None,
    ) -> None:
        self._wall = wall
        self._reactor = reactor
        self._config = config
        self._state_dir = state_dir
        self._kept = kept
        self._tasks: set[Deferred[Any]] = set()
        limits = config.limits
        let_cores_be_off()
        descriptors = raise_descriptors(max(2 * limits.connection.max_connections, WANTED))
        self._per_connection = within_descriptors(limits.connection, descriptors)
        self._bounds = agents_within(limits.agents, descriptors)
        self._registry = Registry()
        self.disposal = Disposal(reactor)
        self._unwritten = unwritten_shares(limits.logs, limits.shares)
        self.threads = Threads(reactor, config.threads, limits.threads, limits.shares)
        self._logs = LogFiles(state_dir.logs, self.threads, limits.logs, limits.shares)
        self._launcher = Launcher(
            reactor, self.threads, limits=limits.launch, disposal=self.disposal
        )
        ids = IdRange(limits.agents.uid_base) if os.geteuid() == 0 else None
        self._cgroups = _find_cgroups(self.log, ids.nursery if ids is not None else None)
        self._security_file = self._make_security_file()
        audit = AuditLog(wall, limits.audit, self._security_file)
        events = EventBus(reactor, limits.events, limits.shares, wall)
        self._reports = Reports(events, audit)
        # Each name that is looked up has a thread, and waits for no other.
        names = limits.http.max_lookups + limits.gateway.all_lookups
        resolver, self._names = host_resolver(reactor, names)
        self._resolver = KnownHosts(config.egress.hosts, resolver)
        self._gateways = Gateways(
            reactor,
            limits.gateway,
            self._resolver,
            refused=self._connection_refused,
            carried=self._reports.connection_carried,
            shares=limits.shares,
        )
        self._places = self._make_places()
        self._nursery = Nursery(
            reactor,
            self.threads,
            config.nursery,
            self._places.common,
            sys.executable,
            ids,
            self._cgroups,
        )
        self._launcher.nursery = self._nursery
        agents = Agents(
            reactor,
            self._registry,
            limits.agents,
            prepare=self._places.prepare,
            forget=self._places.remove,
            later=self._later,
            logbook=self._logbook,
            notify=self._agent_event,
            opened=self._opened,
            closed=self._closed,
            shares=limits.shares,
        )
        self._llm = LLM(
            reactor, config.llm, os.environ, limits.shares, permissions_of=self._permissions_of
        )
        self._finder = AgentFinder(
            agents.records,
            self._launcher.host_commands,
            other_namespaces=config.access.other_namespaces,
            most=limits.connection.max_ancestors,
        )
        self.kernel = Kernel(
            clock=reactor,
            registry=self._registry,
            agents=agents,
            mail=Mailboxes(reactor, limits.mail, self._reports.mail, limits.shares),
            state=StateStore(reactor, limits.state, self._reports.state, limits.shares),
            events=events,
            audit=audit,
            metrics=Metrics(
                reactor,
                self.threads,
                agents,
                self._registry,
                llm_usage=self._llm.usage,
                traffic=self._gateways.traffic.figures,
                limits=limits.metrics,
                turns=turns,
            ),
            llm=self._llm,
            egress=Egress(reactor, limits.http, resolver=self._resolver, shares=limits.shares),
            results=AsyncResults(limits.results, limits.shares),
            threads=self.threads,
            commands=Commands(reactor, limits.exec, limits.shares),
            file_limits=limits.files,
            attempts=self._make_attempts(),
            gateways=self._gateways,
        )
        self.sessions = Sessions(
            reactor,
            self._registry,
            self._per_connection,
            host=HostView(
                self.threads.of(OPERATORS, 0),
                self._launcher,
                os.getcwd(),
                disposal=self.disposal,
            ),
            grants=config.access.uids,
            agent_of=self._finder.of_process,
            opened=self._opened,
            closed=self._closed,
            shares=limits.shares,
        )
        self._dispatcher = Dispatcher(self.kernel, TABLE, warnings=limits.connection.warnings)

    def _make_places(self) -> Places:
        library = os.path.dirname(os.path.realpath(clove.__file__))
        host = Host(
            library=library,
            controllers=frozenset(self._cgroups.controllers if self._cgroups else ()),
            root=os.geteuid() == 0,
            environ=public_environment(os.environ),
            cwd=os.getcwd(),
        )
        return Places(
            threads=self.threads,
            state_dir=self._state_dir,
            cgroups=self._cgroups,
            launcher=self._launcher,
            host=host,
            bounds=self._bounds,
            listen=self._listen_for,
            gateways=self._gateways,
            kept=self._kept,
        )

    def _make_attempts(self) -> Attempts:
        return Attempts(
            self._reactor,
            self._launcher,
            self._gateways,
            self._config.limits.attempts,
            library=os.path.dirname(os.path.realpath(clove.__file__)),
            places=self._places.throwaway,
            forget=self._places.remove,
            report=report,
        )

    # starting and stopping

    def start(self) -> None:
        """Begin to work, in a reactor that runs."""
        self.threads.start()
        self._names.start()
        self.disposal.start()
        self._logs.start()
        self._nursery.start()
        self._llm.start()

    async def stop(self) -> None:
        """Agents end, replies go out, connections close, then the rest; but for the threads."""
        await self.kernel.attempts.stop()
        await self.kernel.agents.stop()
        while self._tasks:
            await next(iter(self._tasks))
        for connection in list(self.sessions.connections):
            connection.close()
        self.sessions.stop()
        self.kernel.state.stop()
        await self._llm.stop()
        await self._nursery.stop()
        self._names.stop()
        self.disposal.stop()

    def clear(self) -> None:
        """Remove what they have on the host. Blocking.

        @raise OSError: something cannot be removed.
        """
        self._state_dir.clear()
        if self._cgroups is not None:
            self._cgroups.close()

    def _make_security_file(self) -> SecurityFile:
        limits = self._config.limits.audit
        rotation = LogLimits(file=limits.file, files=limits.files)
        file = LogFile(self._state_dir.security_log, rotation)
        return SecurityFile(
            self._reactor, lambda data: self.threads.run(file.append, data), limits, self._wall
        )

    # what the parts ask for

    def connection(self) -> KernelConnection:
        """The kernel's end of a new connection."""
        return KernelConnection(self._dispatcher, self.sessions, self._per_connection)

    async def _listen_for(self, principal: Principal, path: str) -> Callable[[], Deferred[Any]]:
        """An agent's own socket; gives the way to close it.

        Mode 0666: the directory above is 0700, and in a sandbox the agent's own
        user must be able to connect.
        """
        factory = ConnectionFactory(self.connection, principal)
        port = await listen(
            self._reactor,
            factory,
            path,
            0o666,
            disposal=self.disposal,
            owner=principal.agent_id,
            most=self._per_connection.max_connections_per_agent,
            family=principal.family,
            rate=self.sessions.rate,
        )

        def close() -> Deferred[Any]:
            self.sessions.close_all(principal)
            return Deferred.fromCoroutine(stopped(port))

        return close

    def _logbook(self, principal: Principal) -> Logbook:
        limits = self._config.limits.logs
        name = principal.name
        file = self._logs.open(name)
        threads = self.threads.of(principal.family, -principal.agent_id, bounded=False)
        family = principal.family
        written = functools.partial(self._logs.ended, name, family)
        return Logbook(file, threads, limits, self._wall, self._unwritten, family, written)

    # what the parts tell each other

    def _opened(self, principal: Principal) -> None:
        self.kernel.mail.open(principal.agent_id, principal.family)
        parent = self._registry.get(principal.parent_id)
        bounding = 0 if parent is None or parent.is_operator else parent.agent_id
        self.kernel.llm.open(principal.agent_id, bounding)

    def _permissions_of(self, agent_id: int) -> Permissions | None:
        principal = self._registry.get(agent_id)
        return None if principal is None else principal.permissions

    def _closed(self, principal: Principal) -> None:
        kernel, agent_id = self.kernel, principal.agent_id
        for part in (kernel.results, kernel.mail, kernel.state, kernel.events):
            part.close(agent_id)
        kernel.llm.close(agent_id, principal.permissions)

    def _agent_event(self, agent: Agent, event: str, data: dict[str, Any]) -> None:
        self._reports.agent(agent, event, data)
        if event == "AGENT_EXITED":
            self.kernel.mail.release(agent.agent_id)

    def _connection_refused(
        self, principal: Principal, host: str, port: int, rule: str, reason: str
    ) -> None:
        self._reports.connection_refused(principal, host, port, rule, reason)
        self._dispatcher.publish_blocked(principal, "CONNECT", rule)

    def _later(self, work: Awaitable[Any]) -> None:
        """Background work: tracked, its failure logged."""
        task: Deferred[Any] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.addErrback(lambda failure: self.log.failure("background work failed", failure=failure))
        task.addCallback(lambda _: self._tasks.discard(task))


def _find_cgroups(log: Logger, spawner_uid: int | None) -> CgroupTree | None:
    """The kernel's cgroup subtree, or None where it can have none.

    @param spawner_uid: who else makes agents' processes.
    """
    try:
        return CgroupTree.find(spawner_uid=spawner_uid)
    except CgroupsUnavailable as error:
        log.info(
            "agents get no cgroups: {reason} ({remedy})",
            reason=error.reason,
            remedy=error.remedy,
        )
        return None
