"""A name in a directory of the host, held by its directory."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from clove.errors import InvalidRequest, Unavailable
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

    A thread runs on when its caller gives up. So the directory is closed after the last of them:
    the number of its descriptor would else be another directory's by then.
    """

    def __init__(self, threads: Threads, entry: Entry, asked: str) -> None:
        self._threads = threads
        self._entry = entry
        self._asked = asked
        self._lock = threading.Lock()
        self._users = 1  # until closed, and each thread that is at it
        self._closed = False
        self.path = entry.path

    @contextlib.contextmanager
    def _used(self) -> Iterator[None]:
        """The directory stays open meanwhile.

        @raise Unavailable: it is closed, as the request was given up before its turn.
        """
        with self._lock:
            if self._closed:
                raise Unavailable("the request was given up")
            self._users += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self._entry.close()

    def _run(self, function: Callable[[], T]) -> Deferred[T]:
        def call() -> T:
            try:
                with self._used():
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
            with other._used():
                self._entry.rename(other._entry, replace=replace)

        return self._run(rename)

    def remove(self, most: int, *, recursive: bool) -> Deferred[tuple[int, bool]]:
        """@see: L{IEntry.remove}."""
        return self._run(lambda: self._entry.remove(most, recursive=recursive))

    def close(self) -> None:
        """Release it. Idempotent."""
        with self._lock:
            was_closed, self._closed = self._closed, True
        if not was_closed:
            self._leave()
