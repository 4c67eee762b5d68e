"""A sandbox's view of a directory of this host, whose look-ups a test can get between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from zope.interface import implementer

from clove.sandbox.inside.held_path import BadPath, Held, resolve
from clove.sandbox.interface import Command, IFile, IRunning, IView, Output
from clove.sandbox.os_errors import translate
from clove.sandbox.spec import Bind, OnHost, on_host


class Threads:
    """Calls at once."""

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        return maybeDeferred(function, *args, **kwargs)


@implementer(IFile)
class File:
    """A held path, as a view gives it."""

    def __init__(self, held: Held, path: str) -> None:
        self._held = held
        self.path = path
        self.kind, self.size, self.links = held.kind, held.size, held.links

    def open(self, flags: int) -> Deferred[int]:
        return succeed(self._held.open(flags))

    def opener(self, flags: int) -> Deferred[Callable[[], int]]:
        return succeed(lambda: self._held.open(flags))

    def watch(self) -> Any:
        raise AssertionError("not asked for here")

    def facts(self, names: Any = None) -> Any:
        raise AssertionError("not asked for here")

    def close(self) -> None:
        self._held.close()


@implementer(IView)
class View:
    """A sandbox whose `/workspace` is a directory of the host.

    @ivar before: called with a path before it is looked up: the seam for exchanges.
    """

    def __init__(self, home: Path) -> None:
        self._home = str(home)
        self.binds = (Bind("/usr", "/usr"), Bind(self._home, "/workspace", writable=True))
        self.before: Callable[[str], None] = lambda _: None

    def enter(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def resolve(self, path: str) -> Deferred[IFile]:
        self.before(path)
        inside = path.startswith("/workspace")
        there = self._home + path.removeprefix("/workspace") if inside else path
        try:
            held = resolve(there, "/")
        except (OSError, BadPath) as error:
            return fail(translate(error, path))
        real = held.path
        shown = "/workspace" + real[len(self._home) :] if real.startswith(self._home) else real
        return succeed(File(held, shown))

    def on_host(self, path: str) -> OnHost | None:
        return on_host(self.binds, path)

    def run(self, command: Command, output: Output) -> Deferred[IRunning]:
        raise AssertionError("nothing is run")
