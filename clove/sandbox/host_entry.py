"""A name in a directory of the host, held by its directory."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from clove.errors import InvalidRequest
from clove.sandbox.disposal import InUse
from clove.sandbox.inside.entry import Entry, facts_of
from clove.sandbox.interface import Facts, IEntry
from clove.sandbox.os_errors import translate

__all__ = ["HostEntry"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Protocol):
    """Where blocking calls run."""

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call the function in a thread."""


@implementer(IEntry)
class HostEntry:
    """What it stands for is done in threads, with the kernel's own rights. @see: L{IEntry}.

    The directory is closed after the last thread that uses it (L{InUse}).
    """

    def __init__(self, threads: Threads, entry: Entry, asked: str) -> None:
        self._threads = threads
        self._entry = entry
        self._asked = asked
        self._in_use = InUse(entry.close)
        self.path = entry.path

    def _run(self, function: Callable[[], T]) -> Deferred[T]:
        def call() -> T:
            try:
                with self._in_use.used():
                    return function()
            except OSError as error:
                raise translate(error, self._asked) from None

        return self._threads.run(call)

    def facts(self) -> Deferred[tuple[Facts, str]]:
        """@see: L{IEntry.facts}."""
        return self._run(lambda: (Facts(*facts_of(self._entry)), self._entry.target()))

    def make_directory(self, mode: int) -> Deferred[None]:
        """@see: L{IEntry.make_directory}."""
        return self._run(lambda: self._entry.make_directory(mode))

    def rename(self, to: IEntry, *, replace: bool) -> Deferred[None]:
        """@see: L{IEntry.rename}."""
        if not isinstance(to, HostEntry):
            raise InvalidRequest("what is moved stays in one view of the files")
        other = to

        def rename() -> None:
            with other._in_use.used():
                self._entry.rename(other._entry, replace=replace)

        return self._run(rename)

    def remove(self, most: int, *, recursive: bool) -> Deferred[tuple[int, bool]]:
        """@see: L{IEntry.remove}."""
        return self._run(lambda: self._entry.remove(most, recursive=recursive))

    def close(self) -> None:
        """Release it. Idempotent."""
        self._in_use.close()
