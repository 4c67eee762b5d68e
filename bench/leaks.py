"""Resources that processes of the bench hold, counted before and after, to find leaks.

The bench takes in orphans (PR_SET_CHILD_SUBREAPER), so whatever a kernel leaves
behind is still found below it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.servers import Unavailable

__all__ = [
    "Holdings",
    "adopt_orphans",
    "descendants",
    "find_leaks",
    "mounts",
    "pss_bytes",
    "settled",
]

PR_SET_CHILD_SUBREAPER = 36
SLACK_KB = 2048
"""Growth of the kernel's memory, in the second half of many spawns, that is no leak."""


@dataclass(frozen=True)
class Holdings:
    """How many of each resource are held.

    @ivar descriptors: of the kernel.
    @ivar processes: the kernel's, it included.
    @ivar mounts: in all their mount namespaces, the host's included.
    @ivar network_namespaces: that they are in.
    @ivar cgroups: of the kernel's own subtree.
    @ivar files: in the state directory.
    @ivar rss_kb: the kernel's resident memory.
    """

    descriptors: int
    processes: int
    mounts: int
    network_namespaces: int
    cgroups: int
    files: int
    rss_kb: int


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends (PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _holdings(kernel: int, state: Path) -> Holdings:
    """Count now.

    @param kernel: its pid.
    @raise Unavailable: we may not look at it.
    """
    pids = [pid for pid, zombie in descendants() if not zombie]
    own = f"/proc/{kernel}"
    try:
        descriptors = len(os.listdir(f"{own}/fd"))
    except PermissionError:
        raise Unavailable("only root sees what a kernel holds") from None
    return Holdings(
        descriptors=descriptors,
        processes=len(pids),
        mounts=mounts(pids),
        network_namespaces=len({_namespace(pid, "net") for pid in pids} - {""}),
        cgroups=_cgroups(kernel),
        files=sum(len(names) + len(files) for _, names, files in os.walk(state)),
        rss_kb=_kilobytes(f"{own}/status", "VmRSS:"),
    )


def find_leaks(before: Holdings, middle: Holdings, after: Holdings) -> list[str]:
    """What has become more and should not, in found. Pure.

    Memory may grow while the kernel fills what it keeps of ended agents; what it
    still grows by in the second half of the spawns is leaked.
    """
    was, now = asdict(before), asdict(after)
    found = [
        f"{name.replace('_', ' ')}: {was[name]} before, {now[name]} after"
        for name in was
        if name != "rss_kb" and now[name] > was[name]
    ]
    grown = after.rss_kb - middle.rss_kb
    if grown > SLACK_KB:
        found.append(f"memory: {grown} kB more in the second half")
    return found


def settled(kernel: int, state: Path, before: Holdings | None, seconds: float = 10.0) -> Holdings:
    """Count when what is ending is gone.

    @param before: wait until there is no more than this, at most so long; None:
        until two counts are the same.
    """
    end = time.monotonic() + seconds
    last = None
    while True:
        now = _holdings(kernel, state)
        quiet = now == last if before is None else not find_leaks(before, now, now)
        if quiet or time.monotonic() > end:
            return now
        last = now
        time.sleep(0.2)


def pss_bytes() -> int:
    """Proportional set sizes of all our descendants: shared pages count once in all.

    @raise Unavailable: we may not look at one (it is not ours, or not dumpable).
    """
    total = 0
    for pid, zombie in descendants():
        try:
            total += 0 if zombie else _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:")
        except PermissionError:
            raise Unavailable("only root sees how much memory agents hold") from None
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total * 1024


def descendants() -> Iterator[tuple[int, bool]]:
    """Pids of all our descendants, and whether each is a zombie. Our own zombies are reaped."""
    children: dict[int, list[tuple[int, bool]]] = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            _, _, fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent, zombie = int(fields.split()[1]), fields.split()[0] == "Z"
        if zombie and parent == os.getpid():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            continue
        children.setdefault(parent, []).append((pid, zombie))
    waiting = [os.getpid()]
    while waiting:
        for child in children.get(waiting.pop(), []):
            waiting.append(child[0])
            yield child


def _namespace(pid: int, kind: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:  # gone, or not ours to see
        return ""


def mounts(pids: list[int]) -> int:
    """How many, in the mount namespaces of these processes and our own."""
    found: dict[str, int] = {_namespace(os.getpid(), "mnt"): _lines("/proc/self/mountinfo")}
    for pid in pids:
        namespace = _namespace(pid, "mnt")
        if namespace and namespace not in found:
            with contextlib.suppress(OSError):
                found[namespace] = _lines(f"/proc/{pid}/mountinfo")
    return sum(found.values())


def _lines(path: str) -> int:
    return Path(path).read_text().count("\n")


def _cgroups(kernel: int) -> int:
    """Directories in a kernel's own subtree of cgroup version 2, if it has one."""
    tree = re.compile(rf"/clove-{kernel}(-\d+)?(/|$)")
    mounted = Path("/proc/self/mountinfo").read_text().splitlines()
    roots = [line.split()[4] for line in mounted if " - cgroup2 " in line]
    return sum(bool(tree.search(directory)) for root in roots for directory, _, _ in os.walk(root))


def _kilobytes(path: str, key: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0
