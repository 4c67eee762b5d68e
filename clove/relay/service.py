"""The relay as a service of Twisted: what it claims, when it serves, how it ends."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError, InvalidRequest
from clove.loop.collector import settle_collector
from clove.loop.long_lived import LongLived
from clove.loop.turns import serve_in_turns
from clove.loop.watchdog import Watchdog
from clove.relay.config import RelayConfig
from clove.relay.first_token import is_read_by_a_person, keep_token
from clove.relay.listening import HandedPorts, url_here
from clove.relay.parts import Parts
from clove.relay.state_dir import RelayStateDir, RunningRelay, relay_state_dir
from clove.systemd.activation import inherited_listeners
from clove.systemd.notify import Notifier

__all__ = ["RelayService", "make_service", "refusal"]

EVENTS = 16
"""Connections that are served in one turn of the reactor: each may cost a signature, or a handshake of TLS."""
LOOK_SECONDS = 0.5
"""How often it is looked whether many tunnels were made."""
SWITCH_SECONDS = 0.0005
"""How long the reactor's thread keeps the interpreter while the store's waits for it; Python's own is ten times as
long, and a look-up needs it several times."""

_OUTPUT = 1
COLLECTIONS = 10
"""Collections after which all objects are gone over, Python's own number: a remote agent's link leaves some
hundred objects in cycles, old by the time it ends, and 9000 connections 20 MB where that is done seldom."""
_SHOWN_ONCE = """\
This is an admin token of this relay. It is shown this once, and only its hash is kept:

    {token}

"""


class RelayService(Service):
    """A relay, from start to stop.

    @param new_admin: make an admin token even if there is a valid one.
    @param notifier: tells the service manager how it is.
    @param handed: ports that are open already.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        state_dir: str,
        *,
        new_admin: bool = False,
        notifier: Notifier | None = None,
        handed: HandedPorts | None = None,
    ) -> None:
        self._new_admin = new_admin
        self._notifier = notifier or Notifier(reactor)
        self._handed = handed
        self._reactor = reactor
        self._config = config
        self._state_dir = RelayStateDir(state_dir)
        self._parts: Parts | None = None
        self._look: LoopingCall | None = None

    @property
    def parts(self) -> Parts:
        """What serves."""
        assert self._parts is not None
        return self._parts

    def startService(self) -> None:
        """Claim the directory and the ports.

        @raise SystemExit: one of them cannot be had; in one line.
        """
        Service.startService(self)
        self._reactor.seconds = time.monotonic  # a step of the wall clock ends no wait
        self._watchdog = Watchdog(self._config.watchdog)
        serve_in_turns(self._reactor, self._watchdog, most=EVENTS)
        try:
            self._state_dir.claim()
            self._parts = Parts(
                self._reactor,
                self._config,
                self._state_dir.store,
                self._watchdog.turns,
            )
            self._parts.listen(self._handed)
        except CloveError as error:
            self._state_dir.release()
            raise SystemExit(refusal(error)) from None
        self._reactor.callWhenRunning(self._serve)

    def _serve(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        long_lived = LongLived(lambda: self.parts.hub.admitted)
        self._look = LoopingCall(long_lived.look)
        self._look.clock = self._reactor
        self._look.start(LOOK_SECONDS, now=False)
        try:
            self.parts.start()
            self._watchdog.start()
        except RuntimeError as error:  # can't start new thread
            self._end(str(error))
            return
        Deferred.fromCoroutine(self._begin()).addErrback(self._failed)

    async def _begin(self) -> None:
        shown = is_read_by_a_person(
            _OUTPUT, os.environ
        )  # asked now: twistd may have become a daemon
        keep = None if shown else self._keep
        token = await self.parts.first_token(keep, another=self._new_admin)
        if token is not None and shown:
            _to_standard_output(_SHOWN_ONCE.format(token=token))
        settle_collector(COLLECTIONS)
        await self.parts.in_thread(self._state_dir.publish, self._addresses())
        for what, port in (("REST", self.parts.rest), ("WebSockets", self.parts.hub_port)):
            assert port is not None
            host = port.getHost()
            self.log.info(
                "clove-relay serves {what} on {address} port {port}",
                what=what,
                address=getattr(host, "host", ""),
                port=getattr(host, "port", 0),
            )
        self._notifier.ready(self._status)
        if self._notifier.is_there:  # in a terminal SIGHUP says that it is closed
            signal.signal(signal.SIGHUP, self._on_hangup)

    def _addresses(self) -> RunningRelay:
        """Where this machine reaches it."""
        tls = bool(self._config.tls.certificate)
        schemes = ("https", "wss") if tls else ("http", "ws")
        ports = (self.parts.rest, self.parts.hub_port)
        return RunningRelay(
            os.getpid(), *(url_here(*each) for each in zip(schemes, ports, strict=True))
        )

    def _status(self) -> str:
        """In words, for `systemctl status`."""
        hub = self.parts.hub
        return f"machines: {len(hub.links())}, remote agents: {hub.caller_count}"

    def _on_hangup(self, *_: object) -> None:
        self._reactor.callFromThread(
            lambda: Deferred.fromCoroutine(self._reload()).addErrback(
                lambda failure: self.log.failure("the reload has failed", failure=failure)
            )
        )

    async def _reload(self) -> None:
        """The certificate; all else needs a restart."""
        self._notifier.reloading()
        try:
            await self.parts.renew()
        finally:
            self._notifier.reloaded()

    async def _keep(self, token: str) -> None:
        path = await self.parts.in_thread(keep_token, self._state_dir.path, token)
        self.log.warn(
            "{path} has an admin token of this relay, of which only the hash is kept elsewhere: "
            "read it, then remove the file",
            path=path,
        )

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, CloveError):
            self._end(_with_hint(error))
        elif isinstance(error, OSError):
            where = error.filename or "the state directory"
            self._end(f"{where}: {error.strerror} (then start it again)")
        else:
            self.log.failure("a fault of clove-relay", failure=failure)
            self._end("see the fault above")

    def _end(self, why: str) -> None:
        """The start has failed after the ports were taken: the process says so by its exit status."""
        self.log.critical("clove-relay cannot start: {why}", why=why)
        atexit.register(_exit_failed)  # twistd itself exits with 0 when its reactor has stopped
        if self._reactor.running:
            self._reactor.stop()

    async def _stop(self) -> None:
        if self._parts is not None:
            await self._parts.stop()
        self._watchdog.stop()
        if self._look is not None and self._look.running:
            self._look.stop()
        self._state_dir.release()
        self._notifier.close()

    def stopService(self) -> Deferred[None]:
        """Serve no more; keep what is to be kept."""
        Service.stopService(self)
        self._notifier.stopping()
        return Deferred.fromCoroutine(self._stop())


def make_service(
    config: RelayConfig, *, state_dir: str | None = None, new_admin: bool = False
) -> RelayService:
    """The service for a configuration; arguments win over it.

    @param new_admin: make an admin token even if there is a valid one.
    @raise InvalidRequest: there is no state directory, or a socket was handed over that is none of the relay's.
    """
    from twisted.internet import reactor

    chosen = state_dir or config.state_dir or relay_state_dir(os.geteuid(), os.environ)
    if not chosen:
        raise InvalidRequest("this user has no home", hint="say where with --state-dir")
    return RelayService(
        reactor,
        config,
        chosen,
        new_admin=new_admin,
        notifier=Notifier.from_environment(reactor, os.environ),
        handed=HandedPorts(inherited_listeners(os.environ), ("rest", "hub")),
    )


def refusal(error: CloveError) -> str:
    """Why the relay does not start, in one line."""
    return f"clove-relay: {_with_hint(error)}"


def _with_hint(error: CloveError) -> str:
    return f"{error}" + (f" ({error.hint})" if error.hint else "")


def _exit_failed() -> None:
    """The last that this process does: twistd is done, with its file of the process id removed."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(1)


def _to_standard_output(text: str) -> None:
    """What twistd sends to the log goes past it here: a log is kept, and others read it."""
    stream = sys.__stdout__
    if stream is not None:
        stream.write(text)
        stream.flush()
