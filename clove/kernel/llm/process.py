"""The LLM service as a child process: started, written to, restarted when it ends."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

from clove.llm.exchange import LINE_SLACK, Ready, Said, decode_said
from clove.llm.lines import LineBuffer
from clove.llm.options import KEY_VARIABLES, Options, arguments
from clove.sandbox.spawned import cut_pipes
from clove.supervisor import RestartPolicy, Supervisor

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

__all__ = ["ModelService", "clean_environment", "printable"]

RESTARTS: Final = RestartPolicy(
    first_delay=1.0, longest_delay=30.0, healthy_after=60.0, most_false_starts=3
)
STOP_TIMEOUT = 2.0
"""Seconds for the service to end by itself when its stdin ends."""

_LOG_LINE = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: bytes) -> str:
    """Untrusted bytes as one line that is safe in a log."""
    return _CONTROL.sub(" ", text.decode("utf-8", "replace"))


def clean_environment(options: Options, environ: Mapping[str, str]) -> dict[str, str]:
    """What the service's environment holds: a path, a locale, and the key if there is one."""
    env = {name: environ[name] for name in ("PATH", "LANG") if name in environ}
    if options.key:
        env[KEY_VARIABLES[0]] = options.key
    return env


class ModelService:
    """One service process at a time.

    @ivar ready: it takes questions now.
    @ivar broken: why it cannot be started, or "".
    @ivar provider, model: as it introduced itself; "" before that.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: Options,
        environ: Mapping[str, str],
        on_message: Callable[[Said], None],
        on_end: Callable[[], None],
        argv: tuple[str, ...] = (),
    ) -> None:
        """Make the object; `ensure_started` makes the process.

        @param on_message: takes every message but `Ready` from the service; also
            called with the `Ready`, after `ready` is set.
        @param on_end: called when a process is gone, before the next one starts.
        @param argv: another command line than the service's own.
        """
        self._reactor = reactor
        self._options = options
        self._environ = clean_environment(options, environ)
        self._on_message = on_message
        self._on_end = on_end
        self._argv = argv or (sys.executable, "-I", "-m", "clove.llm.service", *arguments(options))
        self._link: _Link | None = None
        self._retry: IDelayedCall | None = None
        self._supervisor = Supervisor(RESTARTS)
        self._ready_at: float | None = None
        self._stopped: Deferred[None] | None = None
        self._last_error = ""
        self.ready = False
        self.broken = ""
        self.provider = options.provider
        self.model = options.model

    @property
    def pid(self) -> int:
        """The process's id, or 0 if there is none."""
        link = self._link
        return (link.transport.pid or 0) if link is not None and link.transport else 0

    def ensure_started(self) -> None:
        """Start the process, unless there is one, or one is due after an end. Returns at once."""
        if self._link is None and self._retry is None and self._stopped is None:
            self._start()

    def _start(self) -> None:
        self._retry = None
        self._ready_at = None
        self._link = link = _Link(self, self._options.max_answer + LINE_SLACK)
        try:
            self._reactor.spawnProcess(
                link,
                self._argv[0],
                self._argv,
                env=self._environ,
                childFDs={0: "w", 1: "r", 2: "r"},
            )
        except OSError as error:
            self._last_error = f"{self._argv[0]}: {error.strerror}"
            self._ended(link, "could not be started")

    def stop(self) -> Deferred[None]:
        """End the process: its stdin first, after two seconds SIGKILL. Fires when it is gone."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self.ready = False
        if self._link is None:
            return succeed(None)
        if self._stopped is None:
            self._stopped = Deferred()
            self._link.transport.closeStdin()
            killer = self._reactor.callLater(STOP_TIMEOUT, self._link.kill)
            self._stopped.addBoth(lambda _: killer.active() and killer.cancel())
        waiting: Deferred[None] = Deferred()
        self._stopped.addCallback(lambda _: waiting.callback(None))
        return waiting

    def send(self, line: bytes) -> None:
        """Write a line to the service, if it is ready."""
        if self._link is not None and self.ready:
            self._link.transport.write(line)

    def kill(self, reason: str) -> None:
        """SIGKILL the process; it is started again."""
        if self._link is not None:
            self.log.warn("killing the LLM service: {reason}", reason=reason)
            self._link.kill()

    def _write_failed(self, link: _Link) -> None:
        """Nothing more can be written: what was sent last may be lost, and never be answered."""
        if link is self._link and self._stopped is None:
            link.kill()

    def _received(self, link: _Link, line: bytes | None) -> None:
        if link is not self._link:
            return
        try:
            if line is None:
                raise ValueError("a line is too long")
            message = decode_said(line)
        except ValueError as error:
            self.kill(f"it broke the exchange: {printable(str(error).encode())}")
            return
        if isinstance(message, Ready):
            self.ready, self.broken = self._stopped is None, ""
            self._ready_at = self._ready_at or self._reactor.seconds()
            self._supervisor.ready()
            self.provider, self.model = message.provider, message.model
        self._on_message(message)

    def _log_error(self, line: bytes) -> None:
        text = printable(line)
        if self._options.key:
            text = text.replace(self._options.key, "[key]")
        self._last_error = text[:500]
        self.log.info("LLM service: {text}", text=text)

    def _ended(self, link: _Link, how: str) -> None:
        if link is not self._link:
            return
        self._link = None
        if self._stopped is None:
            self._start_again(how)
        self.ready = False
        self._on_end()
        if self._stopped is not None:
            self._stopped.callback(None)

    def _start_again(self, how: str) -> None:
        now = self._reactor.seconds()
        served = None if self._ready_at is None else now - self._ready_at
        delay = self._supervisor.ended(now, served=served).delay
        if self._supervisor.broken:
            self.broken = self._last_error or how
        self.log.warn(
            "the LLM service ended ({how}), starting it again in {delay} s", how=how, delay=delay
        )
        self._retry = self._reactor.callLater(delay, self._start)


class _Link(ProcessProtocol):
    """The pipes of one process."""

    transport: Any = None

    def __init__(self, service: ModelService, limit: int) -> None:
        self._service = service
        self._out = LineBuffer(limit)
        self._err = LineBuffer(_LOG_LINE)

    def outReceived(self, data: bytes) -> None:
        """Bytes of the exchange."""
        for line in self._out.feed(data):
            self._service._received(self, line)

    def inConnectionLost(self) -> None:
        """Its stdin is closed, or a write to it failed."""
        self._service._write_failed(self)

    def errReceived(self, data: bytes) -> None:
        """Lines for the log."""
        for line in self._err.feed(data):
            self._service._log_error(line if line is not None else b"(a very long line)")

    def processExited(self, reason: Failure) -> None:
        """The process is gone; what it may have started does not keep its pipes open."""
        cut_pipes(self.transport)

    def processEnded(self, reason: Failure) -> None:
        """The process is gone and its pipes are drained."""
        value: Any = reason.value
        signal = getattr(value, "signal", None)
        status = getattr(value, "exitCode", None)
        self._service._ended(self, f"signal {signal}" if signal else f"exit code {status}")

    def kill(self) -> None:
        """SIGKILL. Harmless when it is over."""
        with contextlib.suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")
