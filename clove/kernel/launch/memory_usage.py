"""What memory an agent's processes have together, by /proc. Blocking, for threads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

__all__ = ["memory_of"]

_RESIDENT = re.compile(rb"(?m)^Rss(?:Anon|Shmem):\s+(\d+) kB$")
_PROPORTIONAL = re.compile(rb"(?m)^Pss_(?:Anon|Shmem):\s+(\d+) kB$")


def memory_of(ancestors: Iterable[int], most: int, proc: str = "/proc") -> int:
    """Bytes of memory of some processes and all below them: private, and shared with each other or by memfd.

    Pages that several of them have count once where that decides.

    @param ancestors: their pids here.
    @param most: a sum up to that need not be exact.
    """
    pids = _below(ancestors, proc)
    resident = {pid: _sum(_RESIDENT, f"{proc}/{pid}/status") or 0 for pid in pids}
    used = sum(resident.values())
    if used <= most:
        return used
    found = 0
    for pid, upper in resident.items():  # walks page tables: not for every look
        exact = _sum(_PROPORTIONAL, f"{proc}/{pid}/smaps_rollup")
        found += upper if exact is None else exact
    return found


def _below(ancestors: Iterable[int], proc: str) -> set[int]:
    """Pids of processes and of all below them."""
    found: set[int] = set()
    unseen = list(ancestors)
    while unseen:
        pid = unseen.pop()
        if pid in found:
            continue
        found.add(pid)
        tasks = f"{proc}/{pid}/task"
        try:
            names = os.listdir(tasks)
        except OSError:  # it has ended
            continue
        for name in names:
            children = _read(f"{tasks}/{name}/children") or b""
            unseen.extend(int(word) for word in children.split())
    return found


def _sum(line: re.Pattern[bytes], path: str) -> int | None:
    """Bytes that lines of a file name together; None where it cannot be read."""
    text = _read(path)
    return None if text is None else sum(int(found) << 10 for found in line.findall(text))


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
