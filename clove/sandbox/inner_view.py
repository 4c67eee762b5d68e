"""What an agent sees, by its sandbox's init: commands beside the main program, and files."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

from clove.errors import LimitExceeded
from clove.sandbox.init_errors import not_sent, path_refused, program_refused
from clove.sandbox.interface import Command, ExitStatus, Facts, IEntry, IFile, IRunning, Output
from clove.sandbox.launch_limits import LaunchLimits
from clove.sandbox.remote import RemoteCommand, RemoteFile
from clove.sandbox.remote_entry import RemoteEntry, ask_init, read_facts
from clove.sandbox.requests import Requests
from clove.sandbox.spec import SandboxSpec

__all__ = ["InnerView"]


class InnerView:
    """Commands that init has started, and paths that it holds.

    @param requests: what init is asked by.
    @param check_alive: raises L{clove.errors.Unavailable} when the agent has ended.
    @param close_descriptor: closes what came from inside.
    """

    def __init__(
        self,
        reactor: Any,
        requests: Requests,
        spec: SandboxSpec,
        limits: LaunchLimits,
        check_alive: Callable[[], None],
        close_descriptor: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._requests = requests
        self._spec = spec
        self._limits = limits
        self._check_alive = check_alive
        self._close_descriptor = close_descriptor
        self._commands: dict[int, RemoteCommand] = {}
        self._handles: set[int] = set()

    async def run(self, command: Command, output: Output) -> IRunning:
        """Start a command. @see: L{IView.run}."""
        self._check_alive()
        if len(self._commands) >= self._limits.commands:
            raise LimitExceeded(f"at most {self._limits.commands} commands at once in one sandbox")
        job = self._requests.number()
        facts: dict[str, object] = {
            "argv": list(command.argv),
            "cwd": command.cwd,
            "env": dict(command.env),
        }
        if command.terminal is not None:
            facts["terminal"] = list(command.terminal)
        kill = {"op": "kill", "id": job}
        running = RemoteCommand(
            self._reactor,
            output,
            lambda: self._requests.tell(kill),
            on_terminal=command.terminal is not None,
            stdin_from=command.stdin_from,
        )
        self._commands[job] = running
        if self._spec.namespaces:
            running.outputs.give_to(self._spec.uid)
        try:
            ends = () if running.wants_terminal else running.inner_ends
            answer = await self._requests.ask({"op": "run", **facts}, ends, job)
            if answer.fields["op"] == "refused":
                cwd = command.cwd or self._spec.cwd
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

    async def resolve(self, path: str) -> IFile:
        """Hold what a path leads to. @see: L{IView.resolve}."""
        handle, release = self._new_handle()

        async def opener(flags: int | None = None) -> int:
            """With flags what is held, without a watch on it."""
            asked: dict[str, Any] = {"op": "watch", "handle": handle}
            if flags is not None:
                asked |= {"op": "open", "flags": flags}
            opened = await self._requests.ask(asked)
            if opened.fields["op"] == "refused":
                raise path_refused(opened.fields, path)
            (descriptor,) = opened.fds
            return descriptor

        async def look(names: Sequence[str] | None) -> list[Facts | None]:
            asked = {"op": "facts", "handle": handle}
            if names is not None:
                asked["names"] = list(names)
            said = await ask_init(self._requests, asked, path)
            return [read_facts(one) for one in said["facts"]]

        try:
            answer = await self._requests.ask({"op": "resolve", "path": path}, number=handle)
            if answer.fields["op"] == "refused":
                raise path_refused(answer.fields, path)
            return RemoteFile(answer.fields, opener, release, self._close_descriptor, look, opener)
        except BaseException:
            release()
            raise

    async def enter(self, path: str) -> IEntry:
        """Hold a name's directory. @see: L{IView.enter}."""
        handle, release = self._new_handle()
        try:
            answer = await self._requests.ask({"op": "enter", "path": path}, number=handle)
            if answer.fields["op"] == "refused":
                raise path_refused(answer.fields, path)
            real = str(answer.fields["path"])
            return RemoteEntry(self._requests, handle, real, path, release)
        except BaseException:
            release()
            raise

    async def open_sockets(self) -> list[int]:
        """Sockets of its network. @see: L{ISandbox.open_sockets}."""
        self._check_alive()
        answer = await self._requests.ask({"op": "sockets"})
        if answer.fields["op"] == "refused":
            raise not_sent(OSError(answer.fields.get("errno") or errno.EIO, ""))
        return answer.fds

    def _new_handle(self) -> tuple[int, Callable[[], None]]:
        """A number for something that init is to hold, and what makes init forget it.

        @raise LimitExceeded: it holds too much.
        """
        self._check_alive()
        if len(self._handles) >= self._limits.handles:
            raise LimitExceeded(f"at most {self._limits.handles} files at once in one sandbox")
        handle = self._requests.number()
        self._handles.add(handle)

        def release() -> None:
            if handle in self._handles:
                self._handles.discard(handle)
                self._requests.tell({"op": "close", "handle": handle})

        return handle, release

    def name_pid(self, job: int, pid: int) -> None:
        """Init has forked a command.

        @param job: the command's number; another one's is ignored.
        @param pid: the command's, on the host.
        """
        if job in self._commands:
            self._commands[job].pid = pid

    def put_on_terminal(self, job: int, descriptor: int) -> None:
        """A command is about to run on a terminal.

        @param descriptor: its outer end.
        @raise Unavailable: it is none.
        """
        running = self._commands.get(job)
        if running is None or not running.wants_terminal:
            self._close_descriptor(descriptor)
        else:
            running.outputs.put_on_terminal(descriptor, self._close_descriptor)

    def exited(self, job: int, status: ExitStatus) -> None:
        """A command has ended."""
        if job in self._commands:
            self._commands.pop(job).ended(status)

    def end(self, status: ExitStatus) -> None:
        """The sandbox is gone, and all commands with it."""
        for running in list(self._commands.values()):
            running.ended(status)
        self._commands.clear()
