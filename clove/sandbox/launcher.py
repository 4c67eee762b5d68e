"""Starts programs, in sandboxes and on the host, through the helper.

A launch is over when the program has been exec'ed (`docs/sandbox.md`). After a failed one nothing is left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError, IsolationUnavailable, LimitExceeded
from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
from clove.sandbox.channel import socket_pair
from clove.sandbox.diagnostics import weaker
from clove.sandbox.disposal import Disposal
from clove.sandbox.host import HostView
from clove.sandbox.host_command import HostCommand
from clove.sandbox.host_process import Process
from clove.sandbox.id_maps import IdMaps, MapDescriptors
from clove.sandbox.input_pipe import InputPipe, open_stdin, opened_stdin
from clove.sandbox.interface import Command, IRunning, Output
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.layout import with_system
from clove.sandbox.running import Egress, Sandbox
from clove.sandbox.spawned import SpawnedProcess
from clove.sandbox.spec import SandboxSpec
from clove.sandbox.zygote.child import NewChild
from clove.sandbox.zygote.zygote import Zygote
from clove.threads.threads import Threads, to_the_end

__all__ = ["Launcher"]

HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside", "helper.py")


class Launcher:
    """Starts programs.

    @param python: the interpreter that runs the helper, outside.
    @param disposal: for closes that may block; None: they are done at once.
    @param id_maps: for mounts whose owners an agent's user is; None: there are none.
    @ivar zygote: where Python scripts can be forked from; None: nowhere.
    @ivar host_commands: pids of the helpers of commands on the host.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        threads: Threads,
        python: str = sys.executable,
        limits: LaunchLimits | None = None,
        disposal: Disposal | None = None,
        id_maps: IdMaps | None = None,
    ) -> None:
        self.zygote: Zygote | None = None
        self.host_commands: set[int] = set()
        self._reactor = reactor
        self._threads = threads
        self._python = python
        self._limits = limits or LaunchLimits()
        self._disposal = disposal
        self._id_maps = id_maps

    def launch(
        self,
        spec: SandboxSpec,
        output: Output,
        fallback: SandboxSpec | None = None,
        egress: Egress | None = None,
        child: NewChild | None = None,
        threads: Threads | None = None,
        stdin: bytes | int = b"",
    ) -> Deferred[Sandbox]:
        """Start a program; fires when it runs.

        @param output: takes what it writes; may be called before this fires.
        @param fallback: with allow_degraded, the same program on the host, to start where no sandbox is.
        @param egress: takes the sockets of the spec's `egress`, before this fires.
        @param child: of the zygote, to become it. What fails there is tried again without it.
        @param threads: where a program on the host has its files opened.
        @param stdin: where the spec says so, what it reads, or a descriptor that stays the caller's.
        @raise IsolationUnavailable: the host does not give what the spec asks; with its
            remedy. With allow_degraded only if there is no less to ask.
        @raise NotFound, PermissionDenied: no such program or directory, or not for it.
        @raise TimedOut: it took too long.
        """
        return Deferred.fromCoroutine(
            self._launch(spec, output, fallback, egress, child, threads, stdin)
        )

    async def _launch(
        self,
        spec: SandboxSpec,
        output: Output,
        fallback: SandboxSpec | None,
        egress: Egress | None,
        child: NewChild | None,
        threads: Threads | None,
        stdin: bytes | int,
    ) -> Sandbox:
        opened = opened_stdin(self._reactor, spec, stdin) if spec.stdin else nullcontext(-1)
        with opened as first:
            if child is not None:
                sandbox = await self._start_warm(child, spec, output, egress, first)
                if sandbox is not None:
                    return sandbox
            held = MapDescriptors(self._id_maps)
            try:
                await to_the_end(self._threads.run(held.open_maps, spec.binds, spec.uid))
                given = first if spec.stdin else b""
                start = partial(self._start, output=output, stdin=given, egress=egress)
                start = partial(start, threads=threads, held=held)
                return await self._start_cold(spec, fallback, start)
            finally:
                held.close()

    async def _start_cold(
        self, spec: SandboxSpec, fallback: SandboxSpec | None, start: Callable[..., Sandbox]
    ) -> Sandbox:
        """Start it by the helper; with allow_degraded as often as there is less to ask for."""
        whole = await self._threads.run(with_system, spec)
        reasons: list[str] = []
        while True:
            sandbox = start(whole)
            try:
                await sandbox.until_ready()
            except IsolationUnavailable as error:
                less = weaker(whole, sandbox.failed_step) if spec.allow_degraded else None
                if less is None and spec.allow_degraded:
                    less, fallback = fallback, None
                if less is None:
                    raise
                reasons.append(error.message)
                whole = less
                continue
            if reasons:
                sandbox.isolation = replace(sandbox.isolation, degraded_reason="; ".join(reasons))
            return sandbox

    async def _start_warm(
        self,
        child: NewChild,
        spec: SandboxSpec,
        output: Output,
        egress: Egress | None,
        stdin: int,
    ) -> Sandbox | None:
        """Start it in a child of the zygote; None: that cannot be done, nothing of it is left."""
        completed = child.completed(spec)
        if completed is None:
            child.abandon()
            if child.stale and self.zygote is not None:
                self.zygote.renew()
            return None
        whole, more = completed
        sandbox = self._sandbox(whole, output, egress)
        sandbox.warm = True
        try:
            await child.settle(sandbox, more, self._threads, stdin)
        except (CloveError, OSError) as error:
            self.log.info("an agent starts cold: {error}", error=str(error)[:200])
            child.abandon()
            return None
        except BaseException:
            child.abandon()
            raise
        try:
            await sandbox.until_ready()
        except CloveError as error:
            self.log.info("an agent starts cold: {error}", error=str(error)[:200])
            return None
        return sandbox

    def preforked(self) -> NewChild | None:
        """A child of the prefork pool, in a cgroup of its own; None: there is none."""
        return self.zygote.prefork_pool.take() if self.zygote is not None else None

    def fork(self, cgroup: AgentCgroup | None) -> Deferred[NewChild | None]:
        """A child of the zygote, for a later L{launch}, or to be abandoned.

        @param cgroup: to fork it into.
        @return: Deferred of None where there is no zygote.
        """
        return Deferred.fromCoroutine(self._fork(cgroup))

    async def _fork(self, cgroup: AgentCgroup | None) -> NewChild | None:
        return await self.zygote.fork(cgroup) if self.zygote is not None else None

    def _start(
        self,
        spec: SandboxSpec,
        output: Output,
        stdin: bytes | int = b"",
        egress: Egress | None = None,
        threads: Threads | None = None,
        held: MapDescriptors | None = None,
    ) -> Sandbox:
        """Spawn the helper and hand it the spec.

        @param stdin: what the program reads, or its descriptor; without bytes it is nothing.
        """
        if spec.namespaces:
            sandbox = self._sandbox(spec, output, egress)
        else:
            sandbox = self._on_host(spec, output, threads or self._threads)
        source = self._spawn_helper(sandbox, stdin, held or MapDescriptors())
        if source is not None and isinstance(stdin, bytes):
            source.feed(stdin)
        return sandbox

    def _spawn_helper(
        self, sandbox: Sandbox, stdin: bytes | int, held: MapDescriptors
    ) -> InputPipe | None:
        """Spawn it for a sandbox; gives the pipe for what it is to read, if there is one."""
        ours, theirs = socket_pair()
        source, first = None, -1
        try:
            source, first = open_stdin(self._reactor, stdin)
            transport = SpawnedProcess(
                self._reactor,
                sandbox.streams,
                [self._python, "-I", "-S", HELPER],
                {},
                {0: first, 3: theirs.fileno()},
            )
        except BaseException:
            ours.close()
            if source is not None:
                source.close()
            raise
        finally:
            theirs.close()
            if first >= 0:
                os.close(first)
        try:
            sandbox.attach(transport, ours, held.describe(sandbox.spec), held.descriptors)
        except BaseException:
            if source is not None:
                source.close()
            raise
        return source

    def _on_host(self, spec: SandboxSpec, output: Output, threads: Threads) -> Process:
        host = HostView(threads, self, spec.cwd, spec.env, self._disposal)
        return Process(
            self._reactor, self._threads, spec, output, self._limits, host, self._disposal
        )

    def _sandbox(self, spec: SandboxSpec, output: Output, egress: Egress | None) -> Sandbox:
        return Sandbox(
            self._reactor, self._threads, spec, output, self._limits, egress, self._disposal
        )

    def run_host(
        self,
        command: Command,
        output: Output,
        rlimits: Mapping[str, int] | None = None,
        cgroup: str | None = None,
    ) -> Deferred[IRunning]:
        """Run a command on the host with exactly its environment, in a new session.

        @param cgroup: a `cgroup.procs` file to join first.
        @raise NotFound, PermissionDenied: no such program or directory, or not for us.
        """
        spec = SandboxSpec(
            argv=command.argv,
            env=command.env,
            cwd=command.cwd or "/",
            rlimits=rlimits or {},
            cgroup_procs=(cgroup,) if cgroup else (),
            terminal=command.terminal,
        )
        return Deferred.fromCoroutine(self._run_host(spec, command, output))

    async def _run_host(self, spec: SandboxSpec, command: Command, output: Output) -> IRunning:
        try:
            sandbox = self._start(spec, output, command.stdin_from or command.stdin)
        except OSError as error:  # no descriptors, no memory, no processes left
            raise LimitExceeded(f"no room for one more process: {error.strerror}") from None
        helper = sandbox.processes[-1]  # the others are not known yet
        self.host_commands.add(helper)

        def over(result: object) -> object:
            self.host_commands.discard(helper)
            return result

        sandbox.done.addBoth(over)
        await sandbox.until_ready()
        return HostCommand(sandbox)
