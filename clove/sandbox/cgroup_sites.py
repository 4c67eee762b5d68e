"""Where this process could have a subtree of cgroup v2, and what it would be good for.

Standard library only; reads small files of procfs, sysfs and cgroupfs and changes
nothing. The tree itself is in `cgroups.py`.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from typing import Final

from clove.sandbox.agent_cgroup import get

__all__ = ["WANTED", "WELCOME", "CgroupsUnavailable", "Site", "disks_by_weight", "survey"]

WANTED: Final = frozenset({"cpu", "memory", "pids"})
WELCOME: Final = frozenset({"io"})
"""Used where it is given; no base is chosen or refused for it."""

_DELEGATE: Final = (
    "run the kernel as a systemd service with Delegate=yes, or by "
    "`systemd-run --user --scope -p Delegate=yes`"
)


class CgroupsUnavailable(Exception):
    """There are no cgroups that this kernel could have for its own.

    @ivar remedy: what would change that.
    """

    def __init__(self, reason: str, remedy: str = _DELEGATE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


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


def survey(
    mountinfo: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup", pid: int | None = None
) -> Site:
    """The best base that this process could use. Changes nothing.

    @raise CgroupsUnavailable: there is none.
    """
    mount, here = _locate(get(mountinfo), get(own))
    sites = []
    path = here
    while True:
        site = _judge(path, mount, here, os.getpid() if pid is None else pid)
        if site is not None:
            sites.append(site)
        if path == mount:
            break
        path = os.path.dirname(path)
    if not sites:
        raise CgroupsUnavailable(f"no cgroup from {here} upwards may be written and divided")
    return max(sites, key=lambda site: len(site.controllers & WANTED))  # the nearest of the best


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
                raise CgroupsUnavailable(
                    f"{mount} is mounted read-only",
                    "in a container, ask for a writable cgroup mount (--cgroupns=private "
                    "--privileged, or podman)",
                )
            inside = below[len(root.rstrip("/")) :].strip("/")
            return mount, os.path.join(mount, inside).rstrip("/")
    raise CgroupsUnavailable("this process's own cgroup is outside of the cgroup v2 mount")


def _plain(field: str) -> str:
    """A field of mountinfo without its octal escapes (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _judge(path: str, mount: str, here: str, pid: int) -> Site | None:
    """What a cgroup is good for as a base; None if for nothing."""
    files = [path, f"{path}/cgroup.procs", f"{path}/cgroup.subtree_control"]
    if not all(os.access(file, os.W_OK) for file in files):
        return None
    there = frozenset(get(f"{path}/cgroup.controllers").split()) & (WANTED | WELCOME)
    given = frozenset(get(f"{path}/cgroup.subtree_control").split()) & (WANTED | WELCOME)
    is_root = not os.path.exists(f"{path}/cgroup.type")
    pids = [int(line) for line in get(f"{path}/cgroup.procs").split()]
    if is_root or not pids:
        return Site(path, there, move=False)
    if path == here and (path == mount or all(_is_ours(other, pid) for other in pids)):
        return Site(path, there, move=True)
    return Site(path, given, move=False) if given & WANTED else None


def _is_ours(other: int, pid: int) -> bool:
    """True for a process itself and its descendants."""
    seen = 0
    while other > 1 and seen < 64:
        if other == pid:
            return True
        status = get(f"/proc/{other}/stat")
        if not status:
            return True  # it has just ended
        other = int(status.rpartition(")")[2].split()[1])
        seen += 1
    return other == pid
