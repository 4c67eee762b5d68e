"""The log files of every name that an agent has had, within bounds.

An agent's file outlives it, so that an operator can read it; the oldest go when all together are
too many or too large. Those of live agents stay. What is decided is decided in the reactor's thread;
files are measured and removed in others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from clove.kernel.eviction import Eviction
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.log_file import LogFile, unwritten_shares
from clove.kernel.logs.logbook import Logbook
from clove.sharing.shares import ShareLimits, divide

if TYPE_CHECKING:
    from collections.abc import Callable

    from clove.kernel.logs.pump import Pumps
    from clove.sandbox.reading_time import ReadingTime
    from clove.threads.threads import Threads

__all__ = ["LogFiles"]

_FILE = re.compile(r"(?P<name>.+)\.log(\.[0-9]+)?", re.DOTALL)


class LogFiles:
    """Which log files there are, and which may stay.

    @param directory: where they lie, and nothing else.
    @param threads: measure, write and remove.
    @param wall: dates lines.
    @param reactor: see L{Logbook}.
    @param time_of: gives a family's time for reading output.
    @param pumps: pass on floods; None: nothing else than the reactor does.
    """

    log = Logger()

    def __init__(
        self,
        directory: str,
        threads: Threads,
        limits: LogLimits,
        shares: ShareLimits | None = None,
        wall: Callable[[], float] = time.time,
        reactor: Any = None,
        time_of: Callable[[int], ReadingTime | None] | None = None,
        pumps: Pumps | None = None,
    ) -> None:
        shares = shares or ShareLimits()
        self._wall = wall
        self._reactor = reactor
        self._time_of = time_of
        self._pumps = pumps
        self._unwritten = unwritten_shares(limits, shares)
        self._directory = directory
        self._threads = threads
        self._limits = limits
        self._opening = threading.Lock()
        self._live: Counter[str] = Counter()
        self._aside: set[str] = set()  # names of files whose agents have other names by now
        self._old: set[str] = set()
        names, size = limits.names, limits.all_files
        self._names = Eviction[str](names, divide(names, shares, reserve=False)[1])
        self._bytes = Eviction[str](size, divide(size, shares, memory=True, reserve=False)[1])

    def open(self, name: str) -> LogFile:
        """The log of a new agent of this name, which stays until L{ended}."""
        self._live[name] += 1
        self._forget(name)
        return LogFile(self._path(name), self._limits, self._opening)

    def logbook(self, name: str, family: int, agent_id: int) -> Logbook:
        """The logbook of a new agent.

        Its file has its name; and its id, if one that was renamed writes to that file still.
        """
        if name in self._aside:
            name = f"{name}~{agent_id}"
        file = self.open(name)
        threads = self._threads.of((family, -agent_id), bounded=False)
        written = functools.partial(self.ended, name, family)
        return Logbook(
            file,
            threads,
            self._limits,
            self._wall,
            self._unwritten,
            family,
            written,
            self._reactor,
            None if self._time_of is None else self._time_of(family),
            None if self._pumps is None else functools.partial(self._pumps.start, family),
        )

    def set_aside(self, name: str) -> None:
        """The agent that was started under this name has another one from now on."""
        if name in self._live:
            self._aside.add(name)

    def ended(self, name: str, family: int) -> None:
        """The agent has ended, and its output is written."""
        self._live[name] -= 1
        if self._live[name] > 0:
            return
        del self._live[name]
        self._aside.discard(name)
        measured = self._threads.run(self._measure, name)
        measured.addCallback(lambda size: self._keep(name, family, size))
        measured.addErrback(self._failed)

    def start(self) -> None:
        """Find what earlier kernels have left; each name counts as a family of its own."""
        found = self._threads.run(self._scan)
        found.addCallback(self._adopt)
        found.addErrback(self._failed)

    def _adopt(self, found: list[tuple[str, int]]) -> None:
        for number, (name, size) in enumerate(found, 1):
            self._keep(name, -number, size)

    def _keep(self, name: str, family: int, size: int) -> None:
        """Keep a name's files, and remove what there is no room for then."""
        if not size or name in self._live:
            return
        self._forget(name)
        self._old.add(name)
        gone = set(self._names.add(name, family, 1))
        gone.update(self._bytes.add(name, family, size))
        for each in gone:
            self._forget(each)
        if gone:
            self._threads.run(self._remove, sorted(gone)).addErrback(self._failed)

    def _forget(self, name: str) -> None:
        if name in self._old:  # most names are new
            self._old.remove(name)
            self._names.remove(name)
            self._bytes.remove(name)

    def _failed(self, failure: object) -> None:
        self.log.warn("old log files: {failure}", failure=getattr(failure, "value", failure))

    # in threads

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, f"{name}.log")

    def _paths(self, name: str) -> list[str]:
        path = self._path(name)
        return [path, *(f"{path}.{number}" for number in range(1, self._limits.files))]

    def _measure(self, name: str) -> int:
        """Bytes of a name's files, and one: 0 if there is none."""
        sizes = []
        for path in self._paths(name):
            with contextlib.suppress(FileNotFoundError):
                sizes.append(os.lstat(path).st_size)
        return sum(sizes) + 1 if sizes else 0

    def _scan(self) -> list[tuple[str, int]]:
        """The names that there are files of, the oldest first, with their bytes."""
        sizes: Counter[str] = Counter()
        times: dict[str, float] = {}
        with os.scandir(self._directory) as entries:
            for entry in entries:
                match = _FILE.fullmatch(entry.name)
                if match is not None and entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    sizes[match["name"]] += facts.st_size + 1
                    times[match["name"]] = max(times.get(match["name"], 0), facts.st_mtime)
        return [(name, sizes[name]) for name in sorted(sizes, key=times.__getitem__)]

    def _remove(self, names: list[str]) -> None:
        """Remove the files of names that no live agent has by now."""
        for name in names:
            with self._opening:  # the next agent of this name opens its file after this
                if name not in self._live:
                    for path in self._paths(name):
                        with contextlib.suppress(FileNotFoundError):
                            os.unlink(path)
