"""The host as a view: files and commands of operators and unsandboxed agents."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, Protocol, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from clove.errors import NotFound
from clove.sandbox.disposal import Disposal, InUse
from clove.sandbox.environment import public_environment
from clove.sandbox.host_entry import HostEntry
from clove.sandbox.inside.entry import Entry, enter, facts_of, facts_within
from clove.sandbox.inside.held_path import BadPath, Held, resolve
from clove.sandbox.inside.watching import open_watch
from clove.sandbox.interface import Command, Facts, IEntry, IFile, IRunning, IView, Output
from clove.sandbox.os_errors import translate
from clove.sandbox.spec import OnHost

__all__ = ["HostFile", "HostLauncher", "HostView", "kept"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Protocol):
    """Where blocking calls run."""

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call the function in a thread."""


class HostLauncher(Protocol):
    """What L{HostView} needs of a launcher."""

    def run_host(self, command: Command, output: Output) -> Deferred[IRunning]:
        """Start a command on the host, with exactly its environment, in a new session."""


def kept(source: Deferred[T], undo: Callable[[T], object]) -> Deferred[T]:
    """A result that is undone if it is no longer waited for.

    Cancelling the Deferred given back leaves the source running: a thread
    cannot be stopped, and what it has opened must be closed.
    """
    result: Deferred[T] = Deferred()

    def deliver(value: T) -> None:
        if result.called:
            undo(value)
        else:
            result.callback(value)

    # After a cancellation, errback is swallowed by Deferred itself.
    source.addCallbacks(deliver, result.errback)
    return result


def _dispose(disposal: Disposal | None, close: Callable[[], object]) -> None:
    """Close what may have been deleted meanwhile: then this frees it, which takes its time."""
    if disposal is None:
        close()
    else:
        disposal.dispose("host", close)


@implementer(IFile)
class HostFile:
    """A path on the host that is held. @see: L{IFile}."""

    def __init__(
        self, threads: Threads, held: Held, asked: str, disposal: Disposal | None = None
    ) -> None:
        self._disposal = disposal
        self._threads = threads
        self._held = held
        self._in_use = InUse(lambda: _dispose(disposal, held.close), held.close)
        self._asked = asked
        self.path = held.path
        self.kind = held.kind
        self.size = held.size
        self.links = held.links

    def open(self, flags: int) -> Deferred[int]:
        """Open what is held, in a thread.

        @raise AlreadyExists: it was missing when it was resolved, but no longer is.
        """

        def undo(descriptor: int) -> None:
            _dispose(self._disposal, lambda: os.close(descriptor))

        return kept(self._threads.run(self._open, flags), undo)

    def _open(self, flags: int) -> int:
        try:
            with self._in_use.used():
                return self._held.open(flags)
        except OSError as error:
            raise translate(error, self._asked) from None

    def opener(self, flags: int) -> Deferred[Callable[[], int]]:
        """What opens it in a thread. @see: L{IFile.opener}."""
        return succeed(lambda: self._open(flags))

    def watch(self) -> Deferred[int]:
        """Watch it, in a thread. @see: L{IFile.watch}."""

        def call() -> int:
            try:
                with self._in_use.used():
                    return open_watch(self._held)
            except OSError as error:
                raise translate(error, self._asked) from None

        return kept(self._threads.run(call), os.close)

    def facts(self, names: Sequence[str] | None = None) -> Deferred[list[Facts | None]]:
        """What it is, or what is in it, in a thread. @see: L{IFile.facts}."""

        def call() -> list[Facts | None]:
            try:
                with self._in_use.used():
                    held = self._held
                    found = [facts_of(held)] if names is None else facts_within(held, names)
            except OSError as error:
                raise translate(error, self._asked) from None
            return [None if one is None else Facts(*one) for one in found]

        return self._threads.run(call)

    def close(self) -> None:
        """Release it, after the last thread that is at it. Idempotent."""
        self._in_use.close()


@implementer(IView)
class HostView:
    """The kernel's own view of files, for callers outside sandboxes.

    @param cwd: absolute directory that relative paths start from.
    @param environ: what commands inherit; None for the public part of the
        kernel's own environment.
    @param disposal: for closes that may block; None: they are done at once.
    """

    def __init__(
        self,
        threads: Threads,
        launcher: HostLauncher,
        cwd: str,
        environ: Mapping[str, str] | None = None,
        disposal: Disposal | None = None,
    ) -> None:
        self._disposal = disposal
        self._threads = threads
        self._launcher = launcher
        self._cwd = cwd
        self._environ = public_environment(os.environ) if environ is None else dict(environ)

    def resolve(self, path: str) -> Deferred[IFile]:
        """Hold what a path leads to. @see: L{IView.resolve}.

        @raise PermissionDenied: also by rule `proc`, for processes' entries in /proc.
        """
        cwd = self._cwd

        def call() -> Held:
            try:
                return resolve(path, cwd)
            except (OSError, BadPath) as error:
                raise translate(error, path) from None

        found = kept(self._threads.run(call), lambda held: _dispose(self._disposal, held.close))
        return found.addCallback(lambda held: HostFile(self._threads, held, path, self._disposal))

    def enter(self, path: str) -> Deferred[IEntry]:
        """Hold a name's directory. @see: L{IView.enter}."""
        threads, cwd = self._threads, self._cwd

        def call() -> Entry:
            try:
                return enter(path, cwd)
            except (OSError, BadPath) as error:
                raise translate(error, path) from None

        found = kept(threads.run(call), lambda entry: entry.close())
        return found.addCallback(lambda entry: HostEntry(threads, entry, path))

    def on_host(self, path: str) -> OnHost:
        """The path itself. @see: L{IView.on_host}."""
        return OnHost(path, True)

    def run(self, command: Command, output: Output) -> Deferred[IRunning]:
        """Start a command on the host. @see: L{IView.run}."""
        asked = command.cwd or "."

        def start(cwd: str) -> Deferred[IRunning]:
            env = {**self._environ, **command.env}
            return self._launcher.run_host(replace(command, cwd=cwd, env=env), output)

        ready = self._threads.run(_directory, asked, self._cwd)
        return kept(ready.addCallback(start), lambda running: running.kill())


def _directory(path: str, base: str) -> str:
    """The real path of a directory that a command can start in.

    @raise NotFound: it is missing or no directory.
    @raise CloveError: as for every path.
    """
    try:
        held = resolve(path, base)
    except (OSError, BadPath) as error:
        raise translate(error, path) from None
    held.close()
    if held.kind != "directory":
        raise NotFound(f"no such directory to run in: {path!r}")
    return held.path
