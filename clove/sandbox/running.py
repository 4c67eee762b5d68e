"""What runs, as the kernel holds it: a main program with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.kernel.threads import Threads
from clove.sandbox import filters, remedies
from clove.sandbox.agent_cgroup import AgentCgroup
from clove.sandbox.channel import ControlSocket
from clove.sandbox.disposal import Disposal
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.interface import Command, ExitStatus, IFile, IRunning, ISandbox, IView, Output
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.pidfd import ProcessHandle
from clove.sandbox.refusals import not_sent, path_refused, program_refused
from clove.sandbox.remote import RemoteCommand, RemoteFile
from clove.sandbox.requests import Requests
from clove.sandbox.spawned import SpawnedProcess
from clove.sandbox.spec import Isolation, OnHost, SandboxSpec, on_host

__all__ = ["Process", "Sandbox"]

Egress = Callable[[list[int]], None]
"""Takes sockets made inside (L{clove.sandbox.outlet}), to be closed by the taker."""

MAIN = 0
"""The main program's number in the messages of init."""


class Streams(ProcessProtocol):
    """The helper as the reactor's child: the main program's output, and its end."""

    def __init__(self, output: Output, ended: Callable[[], None]) -> None:
        self._output = output
        self._ended = ended

    def outReceived(self, data: bytes) -> None:
        """Some of stdout."""
        self._output(1, data)

    def errReceived(self, data: bytes) -> None:
        """Some of stderr."""
        self._output(2, data)

    def processEnded(self, reason: Failure) -> None:
        """The helper is reaped, and its output read."""
        self._ended()


@implementer(ISandbox)
class Sandbox:
    """A main program in namespaces, and the way in to it.

    @ivar ready: fires when the program runs; fails with what forbids it.
    @ivar isolation: what was really set up; true once ready.
    @ivar spec: what was asked for.
    @ivar failed_step: the helper's step that failed, if one has.
    @ivar warm: it was forked from the nursery.
    """

    log = Logger()

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
        self.pid = 0
        self._disposal = disposal
        self._egress = egress
        self.done: Deferred[ExitStatus] = Deferred()
        self.ready: Deferred[None] = Deferred()
        self.isolation = Isolation()
        self.failed_step = ""
        self.warm = False
        self.streams = Streams(output, self._process_ended)
        self._reactor = reactor
        self._threads = threads
        self.spec = spec
        self._limits = limits
        procs = spec.cgroup_procs
        self._cgroup = AgentCgroup(os.path.dirname(procs[0])) if procs else None
        self._init: ProcessHandle | None = None  # process 1 of the pid namespace
        self._init_pid = 0
        self._status: ExitStatus | None = None
        self._helper_ended = False
        self._over = False
        self._paused = False
        self._frozen_main: ProcessHandle | None = None  # its end, while init cannot tell it
        self._commands: dict[int, RemoteCommand] = {}
        self._handles: set[int] = set()

    def attach(
        self,
        transport: SpawnedProcess | ForkedProcess,
        control: Any,
        more: Mapping[str, Any] | None = None,
        trees: Sequence[int] = (),
    ) -> None:
        """The helper has been spawned, or the nursery asked for a child: hand over the spec.

        @param control: the kernel's end of the control socket.
        @param more: what a child of the nursery needs to know beside the spec.
        @param trees: detached mounts for it; the caller keeps its own.
        @raise LimitExceeded: there is no room for the message; the control socket is closed.
        """
        self._transport = transport
        self._control = ControlSocket(
            self._reactor, control, self._take, self._lost, close=self._close_descriptor
        )
        limits = self._limits
        self._requests = Requests(
            self._reactor,
            self._control,
            limits.request_timeout,
            limits.requests,
            self._close_descriptor,
        )
        facts = {**self.spec.to_json(), **(more or {})}
        if self.spec.namespaces and self.spec.seccomp:
            machine = os.uname().machine if sys.maxsize > 1 << 32 else ""
            facts["filters"] = filters.encoded(machine, memfd=self.spec.executables is None)
        try:
            self._control.send(facts, trees, lambda error: self._fail(not_sent(error)))
        except BaseException:
            self._control.close()  # else the reactor watches a number that will be another's
            raise

    @property
    def helper_pid(self) -> int:
        """The helper's, or 0 if there is none (any more)."""
        return 0 if self._helper_ended else getattr(self._transport, "pid", None) or 0

    @property
    def processes(self) -> tuple[int, ...]:
        """@see: L{ISandbox.processes}."""
        main = self.pid if self._status is None else 0
        return tuple(filter(None, (main, self._init_pid, self.helper_pid)))

    # everybody

    def terminate(self) -> None:
        """SIGTERM to everybody. @see: L{ISandbox.terminate}."""
        if not self._over:
            self._in_background(self._terminate())

    async def _terminate(self) -> None:
        if self._paused:  # a frozen init could not pass the signal on
            await self._set_paused(False)
        await self._requests.ask({"op": "signal", "signal": int(signal.SIGTERM)})

    def kill(self) -> None:
        """SIGKILL to everybody, whatever state init is in. @see: L{ISandbox.kill}."""
        if self._over:
            return
        if self._init is not None:
            self._init.kill()  # the operating system kills the whole namespace with it
        elif "pid" in self.spec.namespaces:
            self._signal_helper(signal.SIGKILL)  # its child has asked to die with it
        else:
            if self._cgroup is not None:
                self._in_background(self._in_thread(self._cgroup.kill))
            self._signal_helper(signal.SIGCONT)
            self._control.close()  # init takes it as the order to kill everybody

    def _signal_helper(self, number: int) -> None:
        with contextlib.suppress(ProcessExitedAlready):
            self._transport.signalProcess(int(number))

    def pause(self) -> Deferred[None]:
        """Stop everybody. @see: L{ISandbox.pause}."""
        return Deferred.fromCoroutine(self._set_paused(True))

    def resume(self) -> Deferred[None]:
        """Continue everybody. @see: L{ISandbox.resume}."""
        return Deferred.fromCoroutine(self._set_paused(False))

    async def _set_paused(self, paused: bool) -> None:
        self._check_alive()
        self._paused = paused
        if self._cgroup is not None:
            if not await self._in_thread(self._cgroup.freeze if paused else self._cgroup.thaw):
                raise Unavailable("not every process could be stopped; try again, or RESUME")
            self._watch_frozen(paused)
            return
        number = signal.SIGSTOP if paused else signal.SIGCONT
        await self._requests.ask({"op": "signal", "signal": int(number)})

    def _watch_frozen(self, frozen: bool) -> None:
        """Notice the end of a frozen main program, whose init is frozen with it."""
        watch, self._frozen_main = self._frozen_main, None
        if watch is not None:
            watch.close()
        if frozen and not self._over:
            try:
                held = os.pidfd_open(self.pid)
                self._frozen_main = ProcessHandle(self._reactor, held, self.kill)
            except ProcessLookupError:  # init has reaped it just before
                self.kill()

    def hold_output(self, hold: bool) -> None:
        """Stop reading the main program's output, or go on; a flood waits in its pipes."""
        transport: Any = self._transport
        if hold:
            transport.pauseProducing()
        else:
            transport.resumeProducing()

    # the view

    def run(self, command: Command, output: Output) -> Deferred[IRunning]:
        """Start a command beside the main program. @see: L{IView.run}."""
        return Deferred.fromCoroutine(self._run(command, output))

    async def _run(self, command: Command, output: Output) -> IRunning:
        self._check_alive()
        if len(self._commands) >= self._limits.commands:
            raise LimitExceeded(f"at most {self._limits.commands} commands at once in one sandbox")
        job = self._requests.number()
        facts = {"argv": list(command.argv), "cwd": command.cwd, "env": dict(command.env)}
        kill = {"op": "kill", "id": job}
        running = RemoteCommand(self._reactor, output, lambda: self._requests.tell(kill))
        self._commands[job] = running
        try:
            answer = await self._requests.ask({"op": "run", **facts}, running.inner_ends, job)
            if answer.fields["op"] == "refused":
                cwd = command.cwd or self.spec.cwd
                raise program_refused(answer.fields, command.argv[0], cwd)
        except BaseException:
            self._requests.tell(kill)
            del self._commands[job]
            running.abandon()
            raise
        finally:
            running.close_inner_ends()
        running.feed(command.stdin)
        return running

    def resolve(self, path: str) -> Deferred[IFile]:
        """Hold what a path leads to inside. @see: L{IView.resolve}."""
        return Deferred.fromCoroutine(self._resolve(path))

    def on_host(self, path: str) -> OnHost | None:
        """Where something inside comes from. @see: L{IView.on_host}."""
        if "mnt" not in self.spec.namespaces:
            return OnHost(path, True)
        return on_host(self.spec.binds, path)

    async def _resolve(self, path: str) -> IFile:
        self._check_alive()
        if len(self._handles) >= self._limits.handles:
            raise LimitExceeded(f"at most {self._limits.handles} files at once in one sandbox")
        handle = self._requests.number()
        self._handles.add(handle)

        async def opener(flags: int) -> int:
            asked = {"op": "open", "handle": handle, "flags": flags}
            opened = await self._requests.ask(asked)
            if opened.fields["op"] == "refused":
                raise path_refused(opened.fields, path)
            (descriptor,) = opened.fds
            return descriptor

        def release() -> None:
            if handle in self._handles:
                self._handles.discard(handle)
                self._requests.tell({"op": "close", "handle": handle})

        try:
            answer = await self._requests.ask({"op": "resolve", "path": path}, number=handle)
            if answer.fields["op"] == "refused":
                raise path_refused(answer.fields, path)
            return RemoteFile(answer.fields, opener, release, self._close_descriptor)
        except BaseException:
            release()
            raise

    def _check_alive(self) -> None:
        if self._over or self._status is not None:
            raise Unavailable("the agent has ended")

    # what init says

    def _take(self, message: dict[str, Any], fds: list[int], sender: int) -> None:
        operation, job = message.get("op"), message.get("id", MAIN)
        if operation == "pid":
            self._name_pid(job, sender)
        elif operation == "ready":
            self._became_ready(message, sender)
        elif operation == "egress" and self._egress is not None and not self.ready.called:
            self._egress(fds)  # they are its own now
            return
        elif operation == "failed":
            self.failed_step = str(message.get("step", ""))
            self._fail(remedies.failure(message, self.spec))
        elif operation == "exited":
            self._exited(job, ExitStatus(message.get("code"), message.get("signal")))
        else:
            self._requests.answered(message, fds)
            return
        for descriptor in fds:
            self._close_descriptor(descriptor)

    def _close_descriptor(self, descriptor: int) -> None:
        """Close what came from inside, or may hold what does: not in the reactor's thread."""
        if self._disposal is None:
            os.close(descriptor)
        else:
            self._disposal.close_descriptor(self, descriptor)

    def _name_pid(self, job: int, pid: int) -> None:
        if job == MAIN:
            self.pid = pid
        elif job in self._commands:
            self._commands[job].pid = pid

    def _became_ready(self, message: dict[str, Any], sender: int) -> None:
        if "pid" in self.spec.namespaces and not self._over:
            with contextlib.suppress(ProcessLookupError):  # it may be over already
                self._init = ProcessHandle(self._reactor, os.pidfd_open(sender), self._init_ended)
                self._init_pid = sender
        entered = {str(kind): bool(own) for kind, own in message["namespaces"].items()}
        self.isolation = Isolation(
            namespaces=entered,
            cgroup=self._cgroup is not None,
            seccomp=bool(message.get("seccomp")),
            landlock=bool(message.get("landlock")),
        )
        if not self._over:
            self._fire_ready()

    def _fire_ready(self) -> None:
        if not self.ready.called:
            self.ready.callback(None)

    def _exited(self, job: int, status: ExitStatus) -> None:
        if job == MAIN:
            self._status = status
        elif job in self._commands:
            self._commands.pop(job).ended(status)

    def _lost(self) -> None:
        """Init is gone or talks nonsense."""
        self._requests.end()
        if self._status is None and not self._helper_ended:
            self.kill()

    def _fail(self, error: CloveError) -> None:
        if not self.ready.called:
            self.ready.errback(error)

    def _init_ended(self) -> None:
        """Process 1 is gone, and all of its namespace; the helper may be frozen."""
        self._init = None
        self._init_pid = 0
        if self._helper_ended:
            self._finish()
        else:
            self._signal_helper(signal.SIGKILL)

    def _process_ended(self) -> None:
        """The helper is gone; it may have been killed before the rest."""
        self._helper_ended = True
        if self._init is None:
            self._finish()

    def _finish(self) -> None:
        self._over = True
        self._watch_frozen(False)
        self._control.doRead()  # the last words of init may still wait there
        self._control.close()
        killed = ExitStatus(signal=int(signal.SIGKILL))
        self._requests.end()
        for running in list(self._commands.values()):
            running.ended(killed)
        self._commands.clear()
        if self._status is not None:  # all of it was over before anybody looked
            self._fire_ready()
        self._fail(Unavailable("the sandbox ended before its program ran"))
        self.done.callback(self._status or killed)

    # work that nobody waits for

    async def _in_thread(self, function: Callable[[], object]) -> bool:
        """Call a function of the cgroup; False only if it says that it did not succeed."""
        return await self._threads.run(function) is not False

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        def failed(failure: Failure) -> None:
            if failure.check(CloveError) is None:
                self.log.failure("a signal could not be delivered", failure=failure)

        Deferred.fromCoroutine(work).addErrback(failed)


class Process(Sandbox):
    """A main program on the host: its commands run beside it, its files are the host's.

    @param host: the view that resolves paths.
    """

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        spec: SandboxSpec,
        output: Output,
        limits: LaunchLimits,
        host: IView,
        disposal: Disposal | None = None,
    ) -> None:
        super().__init__(reactor, threads, spec, output, limits, disposal=disposal)
        self._host = host

    def resolve(self, path: str) -> Deferred[IFile]:
        """Hold what a path leads to on the host."""
        return self._host.resolve(path)
