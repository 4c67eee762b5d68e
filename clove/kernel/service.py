"""The kernel as a service of Twisted: what it claims, when it serves, how it ends."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError, InvalidRequest, Unavailable
from clove.kernel.clocks import make_monotonic
from clove.kernel.compiled import Compiled, find_compiled
from clove.kernel.config import Config
from clove.kernel.id_file import IdFile
from clove.kernel.interpreter import package_directories
from clove.kernel.listening import (
    ConnectionFactory,
    Lock,
    check_path,
    claim_socket,
    listen,
    stopped,
)
from clove.kernel.llm.settings import service_options
from clove.kernel.main_sockets import MainSockets
from clove.kernel.pid1 import (
    adopt_orphans,
    hold_signals,
    reap_orphans,
    release_signals,
)
from clove.kernel.processor_time import prefer_kernel
from clove.kernel.state_dir import StateDir
from clove.kernel.wiring import Parts
from clove.kernel.wiring.network import model_route, prepare_egress
from clove.loop.polling import watch_beyond_epoll
from clove.loop.turns import serve_in_turns
from clove.loop.watchdog import Watchdog
from clove.sandbox.inside.capabilities import hide_memory
from clove.socket_paths import default_state_dir
from clove.systemd.activation import inherited_listeners
from clove.systemd.notify import Notifier

__all__ = ["KernelService", "make_service", "refusal"]

SWEEP_SECONDS = 1.0


class KernelService(Service):
    """A kernel, from start to drained stop."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        sockets: MainSockets,
        state_dir: str,
        config_file: str | None,
        notifier: Notifier,
    ) -> None:
        self._reactor = reactor
        self._notifier = notifier
        self._config = config
        config_files = (os.path.abspath(config_file),) if config_file else ()
        self._kept = (*config_files, *package_directories())
        self._sockets = sockets
        self._state_dir = StateDir(state_dir)
        self._ids = IdFile(self._state_dir.ids)
        self._lock = Lock(os.path.join(self._state_dir.path, "kernel.lock"))
        self._ports: list[Any] = []
        self._sweep: LoopingCall | None = None
        self._compiled: Compiled | None = None

    def privilegedStartService(self) -> None:
        """Claim the state directory and the sockets: a second kernel stops here."""
        hide_memory()  # the model's key may be in our environment: /proc/PID/environ
        self._claim()

    def _claim(self) -> None:
        try:
            self._state_dir.claim()
            self._lock.take()
            self._sockets.claim()
            self._state_dir.prepare()
            prepare_egress(self._config.egress, self._state_dir)
            route_to = functools.partial(model_route, self._config.egress)
            service_options(self._config.llm, os.environ, route_to)  # whether they make sense
            self._compiled = find_compiled(self._config.compiled)
            self._ids.open()
        except (CloveError, OSError) as error:
            self._lock.release()
            raise SystemExit(refusal(error)) from None

    def startService(self) -> None:
        """Begin to serve.

        @raise SystemExit: a port cannot be had; in one line.
        """
        Service.startService(self)
        make_monotonic(self._reactor)
        # A client that connects may end us at once, before the reactor has its handlers.
        hold_signals()
        watch_beyond_epoll(self._reactor)
        adopt_orphans()
        prefer_kernel()
        self._watchdog = Watchdog(self._config.watchdog)
        spin = self._config.limits.connection.spin
        serve_ready = self._compiled.serve_ready if self._compiled else None
        serve_in_turns(self._reactor, self._watchdog, spin=spin, serve_ready=serve_ready)
        self._parts = Parts(
            self._reactor,
            self._config,
            self._state_dir,
            self._kept,
            self._ids,
            turns=self._watchdog.turns,
            compiled=self._compiled,
        )
        failures: list[Failure] = []
        Deferred.fromCoroutine(self._listen()).addErrback(failures.append)
        for failure in failures:
            failure.trap(CloveError, CannotListenError, OSError)
            self._parts.clear()
            with contextlib.suppress(OSError):
                self._ids.finish()
            self._lock.release()
            release_signals()
            raise SystemExit(refusal(failure.value)) from None
        self._reactor.callWhenRunning(self._serve)

    def _serve(self) -> None:
        """The reactor runs, and takes the signals that end it."""
        release_signals()
        try:
            self._parts.start()
            self._watchdog.start()
        except RuntimeError as error:  # can't start new thread
            self.log.critical(
                "clove-kernel ends: {error} (give its user or cgroup more processes: ulimit -u, "
                "TasksMax)",
                error=error,
            )
            self._reactor.stop()
            return
        self._sweep = LoopingCall(self._look_round)
        self._sweep.clock = self._reactor
        self._sweep.start(SWEEP_SECONDS, now=False)
        self.log.info("clove-kernel answers on {paths}", paths=", ".join(self._sockets.paths))
        self._notifier.ready(self._status)
        if self._sockets.missing:
            self.log.error("no second socket: {missing}", missing=self._sockets.missing)

    def _status(self) -> str:
        """In words, for `systemctl status`."""
        agents = len(self._parts.kernel.agents.known)
        return f"answers on {self._sockets.paths[0]}; agents: {agents}"

    async def _listen(self) -> None:
        """Open the ports; all of it happens at once. Those that leave files are last."""
        if self._config.metrics.port:
            from clove.kernel.metrics.exporter import listen as listen_metrics

            metrics, port = self._parts.kernel.metrics, self._config.metrics.port
            self._ports.append(await listen_metrics(self._reactor, metrics, port))
        mode = 0o666 if self._config.access.uids else 0o600
        factory = ConnectionFactory(self._parts.accept)
        disposal = self._parts.disposal
        self._ports += await self._sockets.listen(self._reactor, factory, mode, disposal)
        if self._config.remote.socket:
            self._ports.append(await self._listen_for_callers())

    async def _listen_for_callers(self) -> Any:
        """Where a tunnel beside this kernel hands them over."""
        from clove.kernel.remote.caller_socket import user_id

        remote = self._config.remote
        path = check_path(remote.socket)
        uid = user_id(remote.tunnel_user) if remote.tunnel_user else None
        _claim_callers(path, uid)
        disposal, callers = self._parts.disposal, self._parts.caller_socket(uid)
        port = await listen(self._reactor, callers, path, 0o600, exposed=True, disposal=disposal)
        if uid is not None:
            try:
                os.chown(path, uid, -1, follow_symlinks=False)
            except OSError as error:
                await stopped(port)
                raise Unavailable(
                    f"{path} cannot be given to remote.tunnel_user: {error.strerror}",
                    hint="only a kernel of root can have one",
                ) from None
        return port

    def _look_round(self) -> None:
        reap_orphans()
        now = self._reactor.seconds()
        for connection in list(self._parts.principals.connections):
            try:
                connection.check(now)
            except Exception:  # else no connection would have time-outs any more
                self.log.failure("a connection could not be checked")

    async def _stop(self) -> None:
        """Drain: no new connections, agents end, replies go out, then the rest."""
        for port in self._ports:
            await stopped(port)
        if self._sweep is not None and self._sweep.running:
            self._sweep.stop()
        await self._parts.stop()
        threads = self._parts.threads
        try:
            await self._ids.stop()
        except OSError as error:
            self.log.warn("some ids are skipped by the next kernel: {error}", error=error)
        try:
            await threads.run(self._parts.clear)
        except OSError as error:
            self.log.warn("something was left behind: {error}", error=error)
        threads.stop()
        self._watchdog.stop()
        self._lock.release()
        self._notifier.close()

    def stopService(self) -> Deferred[None]:
        """End in good order; twistd calls it on SIGTERM and SIGINT."""
        Service.stopService(self)
        self._notifier.stopping()
        return Deferred.fromCoroutine(self._stop())


def make_service(
    config: Config,
    *,
    socket: str | None = None,
    state_dir: str | None = None,
    config_file: str | None = None,
) -> KernelService:
    """The service for a configuration; arguments win over it.

    @param config_file: where the configuration came from.
    @raise InvalidRequest: a socket's path cannot be one, there is no state directory, or a socket was handed
        over that is none of the kernel's.
    """
    from twisted.internet import reactor

    state_dir = state_dir or config.state_dir or default_state_dir(os.geteuid(), os.environ)
    if not state_dir:
        raise InvalidRequest("this user has no home", hint="say where with --state-dir")
    return KernelService(
        reactor,
        config,
        MainSockets(config, socket, os.environ, inherited_listeners(os.environ)),
        state_dir,
        config_file,
        Notifier.from_environment(reactor, os.environ),
    )


def _claim_callers(path: str, uid: int | None) -> None:
    """Make the path free to bind: a stale socket may be one that an earlier kernel has given away."""
    if uid is not None and os.geteuid() == 0:
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(path).st_uid == uid:
                os.chown(path, 0, -1, follow_symlinks=False)
    claim_socket(path)


def refusal(error: BaseException | None) -> str:
    """Why the kernel does not start, in one line."""
    hint = getattr(error, "hint", "")
    return f"clove-kernel: {error}" + (f" ({hint})" if hint else "")
