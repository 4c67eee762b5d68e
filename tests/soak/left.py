"""What a kernel and its agents have left when they are gone."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.leaks import descendants, mounts

__all__ = ["Around", "left_since", "resident_mib"]

PATIENCE = 10.0
"""Seconds that what is ending has to be gone."""


@dataclass(frozen=True)
class Around:
    """@ivar processes: below this one.
    @ivar mounts: in this mount namespace.
    """

    processes: frozenset[int]
    mounts: int

    @classmethod
    def now(cls) -> Around:
        return cls(
            frozenset(pid for pid, zombie in descendants() if not zombie),
            mounts([]),
        )


def left_since(before: Around, state: Path) -> list[str]:
    """What there is now and was not, in words; waits for it to go."""
    end = time.monotonic() + PATIENCE
    while (found := _left(before, Around.now(), state)) and time.monotonic() < end:
        time.sleep(0.2)
    return found


def _left(before: Around, after: Around, state: Path) -> list[str]:
    words = [f"process {pid}: {_command(pid)}" for pid in after.processes - before.processes]
    if after.mounts > before.mounts:
        words.append(f"mounts: {before.mounts} before, {after.mounts} after")
    words += [str(path) for path in state.glob("agents/*/workspace/*")][:3]
    return words


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:100]
    except OSError:
        return "gone meanwhile"


def resident_mib(pid: int) -> int:
    """MiB of a process's resident memory.

    @raise OSError: it is gone, or not ours to see.
    """
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
