"""Where this process could have a subtree of cgroup v2, and what it would be good for.

Standard library only; reads small files of procfs, sysfs and cgroupfs and changes
nothing. The tree itself is in `tree.py`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clove.sandbox.cgroup.agent_cgroup import get
from clove.sandbox.container import cgroup_remedy

__all__ = [
    "LEAF",
    "WANTED",
    "WELCOME",
    "CgroupsUnavailable",
    "Site",
    "disks_by_weight",
    "find_site",
    "has_processor_weight",
    "is_tree",
]

LEAF: Final = "clove-kernel"
"""Where a kernel moves to when its base may hold no processes."""
WANTED: Final = frozenset({"cpu", "memory", "pids"})
WELCOME: Final = frozenset({"io"})
"""Used where it is given; no base is chosen or refused for it."""

_TREE: Final = re.compile(r"clove-\d+(-\d+)?")


class CgroupsUnavailable(Exception):
    """There are no cgroups that this kernel could have for its own.

    @ivar remedy: what would change that.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy or cgroup_remedy()


@dataclass(frozen=True, slots=True)
class Site:
    """A cgroup that could be the base.

    @ivar path: its directory.
    @ivar controllers: those of L{WANTED} and L{WELCOME} that agents below it could have.
    @ivar move: processes in it must move to a leaf first.
    """

    path: str
    controllers: frozenset[str]
    move: bool


def find_site(
    mountinfo: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup", pid: int | None = None
) -> Site:
    """The best base that this process could use: the nearest of those that give the most.

    A cgroup with processes of others is none. The root of the hierarchy has them all, but there a
    subtree stands beside those of others. Changes nothing.

    @raise CgroupsUnavailable: there is none.
    """
    mount, here = _locate(get(mountinfo), get(own))
    company = _Company(os.getpid() if pid is None else pid)
    sites = []
    alone, path, below = True, here, ""
    while True:
        alone = alone and company.alone(path, below)
        site = _judge(path, mount, here, company, alone)
        if site is not None:
            sites.append(site)
        if path == mount:
            break
        path, below = os.path.dirname(path), os.path.basename(path)
    if not sites:
        raise CgroupsUnavailable(
            f"from {here} upwards, no cgroup may be written that is without other processes"
        )
    return max(sites, key=lambda site: len(site.controllers & WANTED))


def has_processor_weight(
    mountinfo: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup"
) -> bool:
    """Whether Linux weighs this process's cgroup, and not its session (sched(7), autogroup)."""
    text = get(own)
    groups = [line.split(":", 2) for line in text.splitlines()]
    if any("cpu" in names.split(",") and path != "/" for _, names, path in groups):
        return True  # version 1
    try:
        _, here = _locate(get(mountinfo), text)
    except CgroupsUnavailable:
        return False
    return os.path.exists(os.path.join(here, "cpu.weight"))


def is_tree(name: str) -> bool:
    """Whether a cgroup's name is that of a kernel's subtree."""
    return _TREE.fullmatch(name) is not None


def disks_by_weight(root: str = "/sys") -> tuple[str, ...]:
    """Names of the disks whose time is shared by weight: by their scheduler or by io.cost.

    @param root: where sysfs is, with the root cgroup in its usual place.
    """
    costed = get(f"{root}/fs/cgroup/io.cost.qos").splitlines()
    enabled = {line.split()[0] for line in costed if "enable=1" in line.split()}
    found = []
    for file in sorted(glob.glob(f"{root}/block/*/queue/scheduler")):
        disk = file.removesuffix("/queue/scheduler")
        if "[bfq]" in get(file) or get(f"{disk}/dev").strip() in enabled:
            found.append(os.path.basename(disk))
    return tuple(found)


def _locate(mountinfo: str, own: str) -> tuple[str, str]:
    """The v2 mount and this process's directory in it."""
    paths = [line[3:] for line in own.splitlines() if line.startswith("0::")]
    mounts = []
    for line in mountinfo.splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            mounts.append([_plain(field) for field in fields.split()[3:6]])
    if not paths or not mounts:
        raise CgroupsUnavailable(
            "cgroup v2 is not mounted", "boot with systemd.unified_cgroup_hierarchy=1"
        )
    below = f"{paths[0].rstrip('/')}/"
    for root, mount, options in mounts:
        if below.startswith(f"{root.rstrip('/')}/") and "/.." not in below:
            if "ro" in options.split(","):
                raise CgroupsUnavailable(f"{mount} is mounted read-only")
            inside = below[len(root.rstrip("/")) :].strip("/")
            return mount, os.path.join(mount, inside).rstrip("/")
    raise CgroupsUnavailable("this process's own cgroup is outside of the cgroup v2 mount")


def _plain(field: str) -> str:
    """A field of mountinfo without its octal escapes (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


class _Company:
    """Which other processes are in a cgroup.

    @param pid: the kernel's.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._starters = frozenset(_ancestors(pid)) - {0}

    def own(self, pids: list[int]) -> bool:
        """Whether all are the kernel or its descendants, which it may move."""
        return all(other == self._pid or self._descends(other) for other in pids)

    def _descends(self, other: int) -> bool:
        if other == 0:
            return False
        line = list(_ancestors(other))
        return self._pid in line or not line  # without a line it has just ended

    def alone(self, path: str, below: str) -> bool:
        """Whether a cgroup has only kernels, their programs and the ancestors of this one.

        @param below: the name of the one in it of which that is known.
        """
        if os.path.basename(path) == LEAF:
            return True  # all in here were moved here by a kernel
        if not self.own([pid for pid in _pids(path) if pid not in self._starters]):
            return False
        children = f"{glob.escape(path)}/*/cgroup.events"
        for events in glob.glob(children, include_hidden=True):
            name = events.split("/")[-2]
            known = name in (below, LEAF) or is_tree(name)
            if not known and "populated 1" in get(events):
                return False
        return True


def _judge(path: str, mount: str, here: str, company: _Company, alone: bool) -> Site | None:
    """What a cgroup is good for as a base; None if for nothing."""
    files = [path, f"{path}/cgroup.procs", f"{path}/cgroup.subtree_control"]
    if not all(os.access(file, os.W_OK) for file in files):
        return None
    there = frozenset(get(f"{path}/cgroup.controllers").split()) & (WANTED | WELCOME)
    if not os.path.exists(f"{path}/cgroup.type"):  # the root of the hierarchy
        return Site(path, there, move=False)
    pids = _pids(path)
    if path == here == mount and 0 not in pids:  # a container's: all in it belongs together
        return Site(path, there, move=bool(pids))
    if not alone or path.endswith(".slice"):  # systemd hands on no slice (systemd.slice(5))
        return None
    if not pids:
        return Site(path, there, move=False)
    return Site(path, there, move=True) if path == here and company.own(pids) else None


def _pids(path: str) -> list[int]:
    """Processes in a cgroup; 0 is one outside of this pid namespace."""
    return [int(line) for line in get(f"{path}/cgroup.procs").split()]


def _ancestors(pid: int) -> Iterator[int]:
    """The parent of a process, its parent, and so on; ends with 0, or with one that has just ended."""
    for _ in range(64):
        status = get(f"/proc/{pid}/stat")
        if not status or pid == 0:
            return
        pid = int(status.rpartition(")")[2].split()[1])
        yield pid
