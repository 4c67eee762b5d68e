"""One zygote process, as the kernel holds it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger

from clove.sandbox.channel import ControlSocket, socket_pair
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.layout import System
from clove.sandbox.mount_watch import MountWatch
from clove.sandbox.spawned import SpawnedProcess
from clove.sandbox.spec import SandboxSpec

__all__ = ["ZygoteProcess"]

SANDBOX = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOOTSTRAP = os.path.join(SANDBOX, "inside", "zygote", "bootstrap.py")
LOG_LINE = 2000
"""Characters of its output in one log entry."""
_CONTROL = re.compile(r"[^\x20-\x7e]+")


class ZygoteProcess(ProcessProtocol):
    """A zygote from its start to its end.

    @param ready: called once, when it can fork.
    @param gone: called once, when it has ended, with the reason.
    @ivar system, base: what its root is made of, once it has begun.
    @ivar serving: it can fork now.
    @ivar forks: how often it was asked to.
    @ivar pid: its process id.
    @ivar mounts: whether the host's are still as it knows them.
    """

    log = Logger()
    system: System
    base: SandboxSpec

    def __init__(
        self,
        reactor: Any,
        ready: Callable[[ZygoteProcess], None],
        gone: Callable[[ZygoteProcess, str], None],
    ) -> None:
        self.serving = False
        self.forks = 0
        self.pid = 0
        self._reactor = reactor
        self._ready = ready
        self._gone = gone
        self._reason = "it ended"
        self._retiring = False
        self.mounts = MountWatch()  # before it has any
        self._printed = {1: b"", 2: b""}
        self._expected: dict[int, ForkedProcess] = {}

    def start(self, python: str) -> None:
        """Spawn it; it waits for its plan.

        @param python: the interpreter, as the host has it.
        @raise OSError: no process can be made.
        """
        ours, theirs = socket_pair()
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._process = SpawnedProcess(
                self._reactor,
                self,
                [python, "-I", "-S", BOOTSTRAP],
                {},
                {0: null, 3: theirs.fileno()},
            )
        except BaseException:
            ours.close()
            self.mounts.close()  # it will never be told of an end
            raise
        finally:
            theirs.close()
            os.close(null)
        self.pid = self._process.pid
        self._control = ControlSocket(self._reactor, ours, self._receive, self.kill)

    def begin(
        self, system: System, base: SandboxSpec, plan: Mapping[str, Any], trees: Sequence[int]
    ) -> None:
        """Let it set itself up.

        @param plan: what it is told of the base.
        @param trees: detached mounts for it; the caller keeps its own.
        """
        self.system, self.base = system, base
        self._control.send(dict(plan), trees, lambda error: self.fail(f"plan: {error.strerror}"))

    def fork(self, process: ForkedProcess, descriptors: Sequence[int]) -> None:
        """Ask for a child.

        @param process: is told when it is forked, or lost.
        @param descriptors: its control socket, stdout, stderr, and perhaps its cgroup.
        @raise LimitExceeded: too many requests are under way.
        """
        self.forks += 1
        number = self.forks
        self._expected[number] = process

        def failed(error: OSError) -> None:
            if self._expected.pop(number, None) is not None:
                self.log.warn("the zygote cannot be asked: {error}", error=error.strerror)
                process.lost()

        try:
            self._control.send({"id": number, "given": len(descriptors)}, descriptors, failed)
        except BaseException:
            self._expected.pop(number, None)
            raise

    def fail(self, reason: str) -> None:
        """It cannot be set up."""
        self._reason = reason
        self.kill()

    def retire(self) -> None:
        """End it once every child that it was asked for is forked."""
        self.serving = False
        self._retiring = True
        if not self._expected:
            self._control.close()

    def kill(self) -> None:
        """End it now; its agents live on."""
        self.serving = False
        self._control.close()
        with contextlib.suppress(ProcessExitedAlready):
            self._process.signalProcess("KILL")

    def _receive(self, message: dict[str, Any], fds: list[int], sender: int) -> None:
        number = message.get("id")
        process = self._expected.pop(number, None) if isinstance(number, int) else None
        if message.get("op") == "forked" and process is not None and len(fds) == 1:
            process.forked(fds[0])
            fds = []
        elif process is not None:
            # Of an abandoned one the cgroup has gone meanwhile, which an agent can have happen often.
            if not process.abandoned:
                text = _printable(message.get("text"))
                self.log.warn("the zygote could not fork: {text}", text=text)
            process.lost()
        elif message.get("op") == "ready":
            for module, reason in message.get("left_out", {}).items():
                self.log.warn(
                    "zygote.preload: {module} cannot be imported: {reason}",
                    module=_printable(module),
                    reason=_printable(reason),
                )
            self.serving = True
            self._ready(self)
        elif message.get("op") == "failed":
            step, text = _printable(message.get("step")), _printable(message.get("text"))
            path = _printable(message.get("path", ""))
            self.fail(f"{step}: {text}" + (f" ({path})" if path else ""))
        for descriptor in fds:
            os.close(descriptor)
        if self._retiring and not self._expected:
            self._control.close()

    def outReceived(self, data: bytes) -> None:
        """What it, or a preloaded module, prints; of a long line the beginning."""
        self._print(1, data)

    def _print(self, stream: int, data: bytes) -> None:
        *lines, rest = (self._printed[stream] + data).split(b"\n")
        for line in lines:
            self.log.info("zygote: {text}", text=_printable(line.decode(errors="replace")))
        self._printed[stream] = rest[:LOG_LINE]

    def errReceived(self, data: bytes) -> None:
        """The same."""
        self._print(2, data)

    def processEnded(self, reason: object) -> None:
        """It is gone."""
        for stream, text in self._printed.items():
            if text:
                self._print(stream, b"\n")
        self.serving = False
        self.mounts.close()
        self._control.close()
        lost, self._expected = list(self._expected.values()), {}
        for process in lost:
            process.lost()
        self._gone(self, self._reason)


def _printable(text: object) -> str:
    return _CONTROL.sub(" ", str(text))[:LOG_LINE]
