"""The processes of one sandbox, as the kernel reaches them: all at once, or by their ends."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError, Unavailable
from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
from clove.sandbox.forked import ForkedProcess, ProcessHandle
from clove.sandbox.requests import Requests
from clove.sandbox.spawned import SpawnedProcess
from clove.sandbox.spec import SandboxSpec
from clove.threads.threads import Threads

__all__ = ["Processes"]


class Processes:
    """Helper, process 1, main program and all that these have started.

    @param ended: called once, when the helper and process 1 are gone, and so all others.
    @param check_alive: raises L{Unavailable} when the main program has ended.
    @ivar over: all of them are gone.
    @ivar helper_ended: the helper is; it may have been killed before the rest.
    @ivar main: host pid of the main program; 0: it is not known yet.
    @ivar init: host pid of process 1, as long as it lives; 0 where there is no pid namespace.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        spec: SandboxSpec,
        ended: Callable[[], None],
        check_alive: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._threads = threads
        self._has_init = "pid" in spec.namespaces
        procs = spec.cgroup_procs
        self._cgroup = AgentCgroup(os.path.dirname(procs[0])) if procs else None
        self._ended = ended
        self._check_alive = check_alive
        self._handle: ProcessHandle | None = None  # of process 1
        self._paused = False
        self._frozen_main: ProcessHandle | None = None  # its end, while init cannot tell it
        self.over = False
        self.helper_ended = False
        self.main = 0
        self.init = 0

    def attach(
        self,
        transport: SpawnedProcess | ForkedProcess,
        requests: Callable[[], Requests],
        hang_up: Callable[[], None],
    ) -> None:
        """The helper has been spawned, or a child of the zygote forked.

        @param requests: gives what init is asked by.
        @param hang_up: ends the control socket, and so init.
        """
        self._transport = transport
        self._requests = requests
        self._hang_up = hang_up

    @property
    def helper(self) -> int:
        """The helper's host pid, or 0 if there is none (any more)."""
        return 0 if self.helper_ended else getattr(self._transport, "pid", None) or 0

    def hold_init(self, pid: int) -> None:
        """Process 1 has told that the main program runs: it is known from now on, and its end."""
        if self._has_init and not self.over:
            with contextlib.suppress(ProcessLookupError):  # it may be over already
                held = os.pidfd_open(pid)
                self._handle = ProcessHandle(self._reactor, held, self._init_ended)
                self.init = pid

    def terminate(self) -> None:
        """SIGTERM to all of them. @see: L{ISandbox.terminate}."""
        if not self.over:
            self._in_background(self._terminate())

    async def _terminate(self) -> None:
        if self._paused:  # a frozen init could not pass the signal on
            await self.set_paused(False)
        await self._requests().ask({"op": "signal", "signal": int(signal.SIGTERM)})

    async def signal_main(self, number: int) -> None:
        """Send a signal to the main program alone. @see: L{ISandbox.signal}."""
        self._check_alive()
        await self._requests().ask({"op": "signal", "signal": number, "main": True})

    def kill(self) -> None:
        """SIGKILL to all of them, whatever state init is in. @see: L{ISandbox.kill}."""
        if self.over:
            return
        if self._handle is not None:
            self._handle.kill()  # the operating system kills the whole namespace with it
        elif self._has_init:
            self._signal_helper(signal.SIGKILL)  # its child has asked to die with it
        else:
            if self._cgroup is not None:
                self._in_background(self._in_thread(self._cgroup.kill))
            self._signal_helper(signal.SIGCONT)
            self._hang_up()  # init takes it as the order to kill all of them

    def _signal_helper(self, number: int) -> None:
        with contextlib.suppress(ProcessExitedAlready):
            self._transport.signalProcess(int(number))

    async def set_paused(self, paused: bool) -> None:
        """Stop all of them, or continue them. @see: L{ISandbox.pause}."""
        self._check_alive()
        self._paused = paused
        if self._cgroup is not None:
            if not await self._in_thread(self._cgroup.freeze if paused else self._cgroup.thaw):
                self._paused = False
                raise Unavailable("not every process could be stopped; they go on; try again")
            self._watch_frozen(paused)
            return
        number = signal.SIGSTOP if paused else signal.SIGCONT
        await self._requests().ask({"op": "signal", "signal": int(number)})

    def _watch_frozen(self, frozen: bool) -> None:
        """Notice the end of a frozen main program, whose init is frozen with it."""
        watch, self._frozen_main = self._frozen_main, None
        if watch is not None:
            watch.close()
        if frozen and not self.over:
            try:
                held = os.pidfd_open(self.main)
                self._frozen_main = ProcessHandle(self._reactor, held, self.kill)
            except ProcessLookupError:  # init has reaped it just before
                self.kill()

    def end_helper(self) -> None:
        """The helper is gone."""
        self.helper_ended = True
        if self._handle is None:
            self._finish()

    def _init_ended(self) -> None:
        """Process 1 is gone, and all of its namespace; the helper may be frozen."""
        self._handle = None
        self.init = 0
        if self.helper_ended:
            self._finish()
        else:
            self._signal_helper(signal.SIGKILL)

    def _finish(self) -> None:
        self.over = True
        self._watch_frozen(False)
        self._ended()

    async def _in_thread(self, function: Callable[[], object]) -> bool:
        """Call a function of the cgroup; False only if it says that it did not succeed."""
        return await self._threads.run(function) is not False

    def _in_background(self, work: Coroutine[Any, Any, object]) -> None:
        def failed(failure: Failure) -> None:
            if failure.check(CloveError) is None:
                self.log.failure("a signal could not be delivered", failure=failure)

        Deferred.fromCoroutine(work).addErrback(failed)
