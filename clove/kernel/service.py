"""The one place where the kernel's parts are made and wired together."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

import clove
from clove.errors import CloveError
from clove.kernel.agents import Agents
from clove.kernel.agents.ancestry import AgentFinder
from clove.kernel.agents.launch import Places, report
from clove.kernel.agents.logbook import Logbook, LogFile
from clove.kernel.agents.plan import Host
from clove.kernel.agents.workspace import StateDir
from clove.kernel.attempts import Attempts
from clove.kernel.audit import AuditLog
from clove.kernel.config import Config, default_state_dir
from clove.kernel.connection import KernelConnection
from clove.kernel.context import Kernel
from clove.kernel.dispatch import Dispatcher
from clove.kernel.egress import Egress, KnownHosts
from clove.kernel.events import EventBus
from clove.kernel.files import Commands
from clove.kernel.gateway import Gateways
from clove.kernel.listening import (
    ConnectionFactory,
    Lock,
    check_path,
    claim_socket,
    listen,
    raise_descriptors,
    stopped,
    within_descriptors,
)
from clove.kernel.llm import LLM
from clove.kernel.mail import Mailboxes
from clove.kernel.metrics import Metrics
from clove.kernel.pending import AsyncResults
from clove.kernel.process_one import (
    bury_orphans,
    hold_signals,
    is_process_one,
    release_signals,
)
from clove.kernel.registry import Registry
from clove.kernel.reports import Reports
from clove.kernel.sessions import Sessions
from clove.kernel.state import StateStore
from clove.kernel.table import TABLE
from clove.kernel.threads import Threads
from clove.sandbox.capabilities import hide_memory
from clove.sandbox.cgroups import CgroupsUnavailable, CgroupTree
from clove.sandbox.environment import public_environment
from clove.sandbox.host import HostView
from clove.sandbox.launcher import Launcher
from clove.sandbox.nursery.ids import IdRange
from clove.sandbox.nursery.nursery import Nursery

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.principal import Principal

__all__ = ["KernelService", "make_service", "refusal"]

SWEEP_SECONDS = 1.0


class KernelService(Service):
    """A kernel, from start to drained stop.

    @ivar kernel: its parts, once it has started.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, config: Config, socket: str, state_dir: str, config_file: str | None
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._kept = (os.path.abspath(config_file),) if config_file else ()
        self._socket = socket
        self._state_dir = StateDir(state_dir)
        self._lock = Lock(os.path.join(self._state_dir.path, "kernel.lock"))
        self._ports: list[Any] = []
        self._sweep: LoopingCall | None = None

    # making the parts

    def _build(self) -> None:
        config, reactor, limits = self._config, self._reactor, self._config.limits
        wanted = 2 * limits.connection.max_connections
        self._per_connection = within_descriptors(limits.connection, raise_descriptors(wanted))
        self._registry = Registry()
        self._threads = Threads(reactor, config.threads)
        self._launcher = Launcher(reactor, self._threads, limits=limits.launch)
        ids = IdRange(limits.agents.uid_base) if os.geteuid() == 0 else None
        self._cgroups = _find_cgroups(self.log, ids.nursery if ids is not None else None)
        host_view = HostView(self._threads, self._launcher, os.getcwd())
        audit = AuditLog(reactor, limits.audit)
        events = EventBus(reactor, limits.events)
        self._reports = Reports(events, audit)
        self._resolver = KnownHosts(config.egress.hosts, reactor.nameResolver)
        self._gateways = Gateways(
            reactor,
            limits.gateway,
            self._resolver,
            refused=self._connection_refused,
            carried=self._reports.connection_carried,
        )
        self._places = self._make_places()
        self._nursery = Nursery(
            reactor,
            self._threads,
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
        )
        self._llm = LLM(reactor, config.llm, os.environ)
        self._finder = AgentFinder(agents.records)
        self.kernel = Kernel(
            clock=reactor,
            registry=self._registry,
            agents=agents,
            mail=Mailboxes(reactor, limits.mail, self._reports.mail),
            state=StateStore(reactor, limits.state, self._reports.state),
            events=events,
            audit=audit,
            metrics=Metrics(
                reactor,
                self._threads,
                agents,
                self._registry,
                llm_usage=self._llm.usage,
                traffic=self._gateways.traffic.figures,
                limits=limits.metrics,
            ),
            llm=self._llm,
            egress=Egress(reactor, limits.http, resolver=self._resolver),
            results=AsyncResults(limits.results),
            threads=self._threads,
            commands=Commands(reactor, limits.exec),
            file_limits=limits.files,
            attempts=self._make_attempts(),
        )
        self._sessions = Sessions(
            reactor,
            self._registry,
            self._per_connection,
            host=host_view,
            grants=config.access.uids,
            agent_of=self._finder.of_process,
            opened=self._opened,
            closed=self._closed,
        )
        self._host_view = host_view
        self._dispatcher = Dispatcher(self.kernel, TABLE)

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
            threads=self._threads,
            state_dir=self._state_dir,
            cgroups=self._cgroups,
            launcher=self._launcher,
            host=host,
            bounds=self._config.limits.agents,
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

    def _connection(self) -> KernelConnection:
        return KernelConnection(self._dispatcher, self._sessions, self._per_connection)

    async def _listen_for(self, principal: Principal, path: str) -> Callable[[], Deferred[Any]]:
        """An agent's own socket; gives the way to close it.

        Mode 0666: the directory above is 0700, and in a sandbox the agent's own
        user must be able to connect.
        """
        factory = ConnectionFactory(self._connection, principal)
        port = await listen(self._reactor, factory, path, 0o666)

        def close() -> Deferred[Any]:
            self._sessions.close_all(principal)
            return Deferred.fromCoroutine(stopped(port))

        return close

    def _logbook(self, name: str) -> Logbook:
        limits = self._config.limits.logs
        file = LogFile(self._state_dir.log(name), limits)
        return Logbook(file, self._threads, limits, self._reactor.seconds)

    # what the parts tell each other

    def _opened(self, principal: Principal) -> None:
        self.kernel.mail.open(principal.agent_id)

    def _closed(self, principal: Principal) -> None:
        kernel, agent_id = self.kernel, principal.agent_id
        for part in (kernel.results, kernel.mail, kernel.state, kernel.events, kernel.llm):
            part.close(agent_id)

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

    # starting and stopping

    def privilegedStartService(self) -> None:
        """Claim the state directory and the socket: a second kernel stops here."""
        self._tasks: set[Deferred[Any]] = set()
        hide_memory()  # the model's key may be in our environment: /proc/PID/environ
        self._claim()

    def _claim(self) -> None:
        try:
            self._state_dir.claim()
            self._lock.take()
            claim_socket(self._socket)
            self._state_dir.prepare()
        except (CloveError, OSError) as error:
            self._lock.release()
            raise SystemExit(refusal(error)) from None

    def startService(self) -> None:
        """Begin to serve.

        @raise SystemExit: a port cannot be had; in one line.
        """
        Service.startService(self)
        # A client that connects may end us at once, before the reactor has its handlers.
        hold_signals()
        self._build()
        failures: list[Failure] = []
        Deferred.fromCoroutine(self._listen()).addErrback(failures.append)
        for failure in failures:
            failure.trap(CloveError, CannotListenError, OSError)
            self._clear()
            self._lock.release()
            release_signals()
            raise SystemExit(refusal(failure.value)) from None
        self._reactor.callWhenRunning(self._serve)

    def _serve(self) -> None:
        """The reactor runs, and takes the signals that end it."""
        release_signals()
        self._threads.start()
        self._nursery.start()
        self._llm.start()
        self._sweep = LoopingCall(self._look_round)
        self._sweep.clock = self._reactor
        self._sweep.start(SWEEP_SECONDS, now=False)
        self.log.info("clove-kernel answers on {socket}", socket=self._socket)

    async def _listen(self) -> None:
        """Open the ports; all of it happens at once. The one that leaves a file is last."""
        if self._config.metrics.port:
            from clove.kernel.metrics.exporter import listen as listen_metrics

            self._ports.append(
                await listen_metrics(self._reactor, self.kernel.metrics, self._config.metrics.port)
            )
        mode = 0o666 if self._config.access.uids else 0o600
        factory = ConnectionFactory(self._connection)
        port = await listen(self._reactor, factory, self._socket, mode, exposed=True)
        self._ports.append(port)

    def _look_round(self) -> None:
        if is_process_one():
            bury_orphans()
        now = self._reactor.seconds()
        for connection in list(self._sessions.connections):
            connection.check(now)

    async def _stop(self) -> None:
        """Drain: no new connections, agents end, replies go out, then the rest."""
        for port in self._ports:
            await stopped(port)
        if self._sweep is not None and self._sweep.running:
            self._sweep.stop()
        await self.kernel.attempts.stop()
        await self.kernel.agents.stop()
        while self._tasks:
            await next(iter(self._tasks))
        for connection in list(self._sessions.connections):
            connection.close()
        self._sessions.stop()
        self.kernel.state.stop()
        await self._llm.stop()
        await self._nursery.stop()
        try:
            await self._threads.run(self._clear)
        except OSError as error:
            self.log.warn("something was left behind: {error}", error=error)
        self._threads.stop()
        self._lock.release()

    def _clear(self) -> None:
        self._state_dir.clear()
        if self._cgroups is not None:
            self._cgroups.close()

    def stopService(self) -> Deferred[None]:
        """End in good order; twistd calls it on SIGTERM and SIGINT."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())


def _find_cgroups(log: Logger, spawner_uid: int | None) -> CgroupTree | None:
    """The kernel's cgroup subtree, or None where it can have none.

    @param spawner_uid: who else makes agents' processes.
    """
    try:
        return CgroupTree.find(spawner_uid=spawner_uid)
    except CgroupsUnavailable as error:
        log.info("agents get no cgroups: {reason}", reason=str(error))
        return None


def make_service(
    config: Config,
    *,
    socket: str | None = None,
    state_dir: str | None = None,
    config_file: str | None = None,
) -> KernelService:
    """The service for a configuration; arguments win over it.

    @param config_file: where the configuration came from.
    @raise InvalidRequest: the socket's path cannot be one.
    """
    from twisted.internet import reactor

    return KernelService(
        reactor,
        config,
        check_path(config.socket if socket is None else socket),
        state_dir or config.state_dir or default_state_dir(),
        config_file,
    )


def refusal(error: BaseException | None) -> str:
    """Why the kernel does not start, in one line."""
    hint = getattr(error, "hint", "")
    return f"clove-kernel: {error}" + (f" ({hint})" if hint else "")
