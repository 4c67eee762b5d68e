"""What runs, as the kernel holds it: a main program with everything it started."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from zope.interface import implementer

from clove.errors import CloveError, TimedOut, Unavailable
from clove.sandbox import diagnostics
from clove.sandbox.channel import ControlSocket
from clove.sandbox.disposal import Disposal
from clove.sandbox.filters_on_demand import encoded_filters
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.init_errors import ended, not_sent
from clove.sandbox.inner_view import InnerView
from clove.sandbox.interface import Command, ExitStatus, IEntry, IFile, IRunning, ISandbox, Output
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.outputs import Outputs, Streams
from clove.sandbox.processes import Processes
from clove.sandbox.requests import Requests
from clove.sandbox.spawned import SpawnedProcess
from clove.sandbox.spec import Isolation, OnHost, SandboxSpec, on_host
from clove.threads.threads import Threads

__all__ = ["Sandbox"]

Egress = Callable[[list[int]], None]
"""Takes sockets made inside (L{clove.sandbox.inside.egress_sockets}), to be closed by the taker."""

MAIN = 0
"""The main program's number in the messages of init."""


# More than 20 methods: half of them are ISandbox's, one line each.
@implementer(ISandbox)
class Sandbox:
    """A main program in namespaces, and the way in to it.

    @ivar ready: fires when the program runs; fails with what forbids it.
    @ivar isolation: what was really set up; true once ready.
    @ivar spec: what was asked for.
    @ivar failed_step: the helper's step that failed, if one has.
    @ivar warm: it was forked from the zygote.
    """

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        spec: SandboxSpec,
        output: Output,
        limits: LaunchLimits,
        egress: Egress | None = None,
        disposal: Disposal | None = None,
    ) -> None:
        self._processes = Processes(reactor, threads, spec, self._finish, self._check_alive)
        self._disposal = disposal
        self._egress = egress
        self.done: Deferred[ExitStatus] = Deferred()
        self.ready: Deferred[None] = Deferred()
        self.isolation = Isolation()
        self.failed_step = ""
        self.warm = False
        self.streams = Streams(output, self._processes.end_helper, self._stall)
        self._reactor = reactor
        self.spec = spec
        self._limits = limits
        self._status: ExitStatus | None = None

    def attach(
        self,
        transport: SpawnedProcess | ForkedProcess,
        control: Any,
        more: Mapping[str, Any] | None = None,
        trees: Sequence[int] = (),
    ) -> None:
        """The helper has been spawned, or the zygote asked for a child: hand over the spec.

        @param control: the kernel's end of the control socket.
        @param more: what a child of the zygote needs to know beside the spec.
        @param trees: detached mounts for it; the caller keeps its own.
        @raise LimitExceeded: there is no room for the message; the control socket is closed.
        """
        self._transport = transport
        self._control = ControlSocket(
            self._reactor, control, self._receive, self._lost, close=self._close_descriptor
        )
        self._processes.attach(transport, lambda: self._requests, self._control.close)
        if self.spec.namespaces:
            transport.outputs.give_to(self.spec.uid)
        facts = {**self.spec.to_json(), **(more or {})}
        if self.spec.namespaces and self.spec.seccomp:
            machine = os.uname().machine if sys.maxsize > 1 << 32 else ""
            memfd, netlink = self.spec.executables is None, "net" in self.spec.namespaces
            facts["filters"] = encoded_filters(machine, memfd=memfd, netlink=netlink)
        try:
            self._control.send(facts, trees, lambda error: self._settle(not_sent(error)))
        except BaseException:
            self._control.close()  # else the reactor watches a number that will be another's
            raise

    async def until_ready(self) -> None:
        """Wait for the program to run; if it does not, wait until nothing is left.

        @raise TimedOut: it took longer than it may.
        """
        seconds = self._limits.launch_timeout
        self.ready.addTimeout(seconds, self._reactor)
        try:
            await self.ready
        except BaseException as error:
            self.kill()
            if not isinstance(error, GeneratorExit):
                await self.done
            if isinstance(error, DeferredTimeout):
                raise TimedOut(f"the sandbox was not ready within {seconds:g} seconds") from None
            raise

    @property
    def pid(self) -> int:
        """@see: L{ISandbox.pid}."""
        return self._processes.main

    @property
    def processes(self) -> tuple[int, ...]:
        """@see: L{ISandbox.processes}."""
        main = self.pid if self._status is None else 0
        return tuple(filter(None, (main, self._processes.init, self._processes.helper)))

    def terminate(self) -> None:
        """SIGTERM to all processes. @see: L{ISandbox.terminate}."""
        self._processes.terminate()

    def kill(self) -> None:
        """SIGKILL to all processes, whatever state init is in. @see: L{ISandbox.kill}."""
        self._processes.kill()

    def signal(self, number: int) -> Deferred[None]:
        """Send a signal to the main program. @see: L{ISandbox.signal}."""
        return Deferred.fromCoroutine(self._processes.signal_main(number))

    def pause(self) -> Deferred[None]:
        """Stop all processes. @see: L{ISandbox.pause}."""
        return Deferred.fromCoroutine(self._processes.set_paused(True))

    def resume(self) -> Deferred[None]:
        """Continue all processes. @see: L{ISandbox.resume}."""
        return Deferred.fromCoroutine(self._processes.set_paused(False))

    @property
    def outputs(self) -> Outputs:
        """@see: L{ISandbox.outputs}."""
        return self._transport.outputs

    def _stall(self, stall: bool) -> None:
        for stream in (1, 2):
            self._transport.outputs.stall(stream, stall)

    def run(self, command: Command, output: Output) -> Deferred[IRunning]:
        """Start a command beside the main program. @see: L{IView.run}."""
        return Deferred.fromCoroutine(self._view.run(command, output))

    def resolve(self, path: str) -> Deferred[IFile]:
        """Hold what a path leads to inside. @see: L{IView.resolve}."""
        return Deferred.fromCoroutine(self._view.resolve(path))

    def enter(self, path: str) -> Deferred[IEntry]:
        """Hold a name's directory inside. @see: L{IView.enter}."""
        return Deferred.fromCoroutine(self._view.enter(path))

    def open_sockets(self) -> Deferred[list[int]]:
        """Sockets of its network. @see: L{ISandbox.open_sockets}."""
        return Deferred.fromCoroutine(self._view.open_sockets())

    def on_host(self, path: str) -> OnHost | None:
        """Where something inside comes from. @see: L{IView.on_host}."""
        if "mnt" not in self.spec.namespaces:
            return OnHost(path, True)
        return on_host(self.spec.binds, path)

    @functools.cached_property
    def _requests(self) -> Requests:
        """What init is asked by; made when that is first needed, as most agents need it never."""
        seconds, most = self._limits.request_timeout, self._limits.requests
        return Requests(self._reactor, self._control, seconds, most, self._close_descriptor)

    @functools.cached_property
    def _view(self) -> InnerView:
        """Commands and files inside, likewise."""
        more = self._limits, self._check_alive, self._close_descriptor
        return InnerView(self._reactor, self._requests, self.spec, *more)

    def _check_alive(self) -> None:
        if self._processes.over or self._status is not None:
            raise ended()

    def _receive(self, message: dict[str, Any], fds: list[int], sender: int) -> None:
        operation, job = message.get("op"), message.get("id", MAIN)
        if operation == "pid":
            if job == MAIN:
                self._processes.main = sender
            else:
                self._view.name_pid(job, sender)
        elif operation == "ready":
            self._became_ready(message, sender)
        elif operation == "egress" and self._egress is not None and not self.ready.called:
            self._egress(fds)  # they are its own now
            return
        elif operation == "terminal" and len(fds) == 1:
            try:
                self._put_on_terminal(job, fds[0])
            except Unavailable as error:  # what init sends is not believed
                self._settle(error)
                self.kill()
            return
        elif operation == "failed":
            self.failed_step = str(message.get("step", ""))
            self._settle(diagnostics.failure(message, self.spec))
        elif operation == "exited":
            status = ExitStatus(message.get("code"), message.get("signal"))
            if job == MAIN:
                self._status = status
            else:
                self._view.exited(job, status)
        else:
            self._requests.answered(message, fds)
            return
        for descriptor in fds:
            self._close_descriptor(descriptor)

    def _put_on_terminal(self, job: int, descriptor: int) -> None:
        """A program is about to run on a terminal, of which init has sent the outer end.

        @raise Unavailable: it is none, or one too many; it is closed.
        """
        if job != MAIN:
            self._view.put_on_terminal(job, descriptor)
        elif self.spec.terminal:
            self.outputs.put_on_terminal(descriptor, self._close_descriptor)
        else:  # it asked for none
            self._close_descriptor(descriptor)

    def _close_descriptor(self, descriptor: int) -> None:
        """Close what came from inside, or may hold what does: not in the reactor's thread."""
        if self._disposal is None:
            os.close(descriptor)
        else:
            self._disposal.close_descriptor(self, descriptor)

    def _became_ready(self, message: dict[str, Any], sender: int) -> None:
        self._processes.hold_init(sender)
        entered = {str(kind): bool(own) for kind, own in message["namespaces"].items()}
        self.isolation = Isolation(
            namespaces=entered,
            cgroup=bool(self.spec.cgroup_procs),
            seccomp=bool(message.get("seccomp")),
            landlock=bool(message.get("landlock")),
        )
        if not self._processes.over:
            self._settle(None)

    def _lost(self) -> None:
        """Init is gone or talks nonsense."""
        if "_requests" in vars(self):
            self._requests.end()
        if self._status is None and not self._processes.helper_ended:
            self.kill()

    def _settle(self, problem: CloveError | None) -> None:
        """Fire L{ready}, if nothing has: the program runs, or a problem keeps it from that."""
        if self.ready.called:
            return
        if problem is None:
            self.streams.follow()
            self.ready.callback(None)
        else:
            self.ready.errback(problem)

    def _finish(self) -> None:
        """All processes are gone."""
        self._control.drain()  # the last messages of init may still wait there
        self._control.close()
        killed = ExitStatus(signal=int(signal.SIGKILL))
        if "_requests" in vars(self):
            self._requests.end()
        if "_view" in vars(self):
            self._view.end(killed)
        if self._status is not None:  # all of it was over before its messages were read
            self._settle(None)
        self._settle(Unavailable("the sandbox ended before its program ran"))
        self.done.callback(self._status or killed)
