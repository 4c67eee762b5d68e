"""Commands and files of a sandbox, as the kernel holds them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from clove.errors import LimitExceeded
from clove.sandbox.input_pipe import InputPipe
from clove.sandbox.interface import ExitStatus, Facts, IFile, IRunning, Output
from clove.sandbox.outputs import Outputs

__all__ = ["RemoteCommand", "RemoteFile"]


@implementer(IRunning)
class RemoteCommand:
    """A command that init runs; its pipes are read here.

    @param kill: asks init to kill its process group.
    @ivar outputs: what it writes.
    @ivar wants_terminal: init sends one for it.
    @param stdin_from: what it reads, instead of what L{feed} is given.
    @raise LimitExceeded: there is no room for its pipes.
    """

    def __init__(
        self,
        reactor: Any,
        output: Output,
        kill: Callable[[], None],
        *,
        on_terminal: bool = False,
        stdin_from: int | None = None,
    ) -> None:
        self.pid = 0
        self.wants_terminal = on_terminal
        self.done: Deferred[ExitStatus] = Deferred()
        self._kill = kill
        self._status: ExitStatus | None = None
        try:
            self.outputs = Outputs(reactor, output, self._closed)
            try:
                self._stdin = InputPipe(reactor) if stdin_from is None else None
                reader = os.dup(stdin_from or 0) if self._stdin is None else self._stdin.reader
            except OSError:
                self.outputs.discard()
                raise
        except OSError as error:
            raise LimitExceeded(
                f"the kernel has no room for a command's pipes: {error.strerror}",
                hint="try again later; docs/limits.md says what one user shares",
            ) from None
        self.inner_ends = (reader, *self.outputs.writers)

    def kill(self) -> None:
        """SIGKILL to the process group. @see: L{IRunning.kill}."""
        if self._status is None:
            self._kill()

    def feed(self, data: bytes) -> None:
        """Write the whole of stdin."""
        if self._stdin is not None:
            self._stdin.feed(data)

    def close_inner_ends(self) -> None:
        """Init has its own copies of the pipes' other ends."""
        for descriptor in self.inner_ends:
            os.close(descriptor)

    def ended(self, status: ExitStatus) -> None:
        """Its first process has ended; `done` follows the last of its output."""
        if self._status is None:
            self._status = status
            self._close_stdin()
            self.outputs.finish()
            self._closed()

    def abandon(self) -> None:
        """It never ran: close the pipes, and report nothing."""
        self._close_stdin()
        self.outputs.close()

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.close()

    def _closed(self) -> None:
        if self._status is not None and self.outputs.over:
            status, done = self._status, self.done
            if not done.called:
                done.callback(status)


@implementer(IFile)
class RemoteFile:
    """A path that init holds.

    @param opener: opens it with flags.
    @param release: lets it go.
    @param close: closes what was opened and not taken.
    @param watcher: asks for a watch.
    @param look: asks for facts, of what it is or of names in it.
    """

    def __init__(
        self,
        facts: dict[str, Any],
        opener: Callable[[int], Awaitable[int]],
        release: Callable[[], None],
        close: Callable[[int], None] = os.close,
        look: Callable[[Sequence[str] | None], Awaitable[list[Facts | None]]] | None = None,
        watcher: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._look = look
        self._watcher = watcher
        self.path = str(facts["path"])
        self.kind = str(facts["kind"])
        self.size = int(facts["size"])
        self.links = int(facts["links"])
        self._opened = -1
        self._opener = opener
        self._release = release
        self._close = close

    def open(self, flags: int) -> Deferred[int]:
        """Open what is held. @see: L{IFile.open}."""

        async def call() -> int:
            return await self._opener(flags)

        return Deferred.fromCoroutine(call())

    def opener(self, flags: int) -> Deferred[Callable[[], int]]:
        """It is opened now, and given later. @see: L{IFile.opener}."""

        async def call() -> Callable[[], int]:
            self._opened = await self._opener(flags)
            return self._give

        return Deferred.fromCoroutine(call())

    def watch(self) -> Deferred[int]:
        """Have init watch it. @see: L{IFile.watch}."""

        async def call() -> int:
            assert self._watcher is not None
            return await self._watcher()

        return Deferred.fromCoroutine(call())

    def facts(self, names: Sequence[str] | None = None) -> Deferred[list[Facts | None]]:
        """What it is, or what is in it. @see: L{IFile.facts}."""

        async def call() -> list[Facts | None]:
            assert self._look is not None
            return await self._look(names)

        return Deferred.fromCoroutine(call())

    def _give(self) -> int:
        opened, self._opened = self._opened, -1
        return opened

    def close(self) -> None:
        """Release it. Idempotent."""
        if self._opened >= 0:
            self._close(self._give())
        self._release()
