"""Where agents' cgroups are: a subtree of cgroup v2 that this kernel may use.

Standard library only; blocking, so the kernel calls it in threads::

    BASE/                a cgroup that is ours to divide
        clove-kernel/    the kernel itself, when BASE may hold no processes
        clove-PID/       this kernel's agents, locked while it lives
            zygote/     the process from which agents are forked (docs/zygote.md)
            agent-ID/        an agent that started cold, or whose process was restarted
            warm-N/          a child of the prefork pool

Controllers can only be given on by a cgroup without processes of its own (the
no-internal-process rule), but for the root of the hierarchy. `clove-PID` is
locked by flock(2); a kernel that finds an unlocked one knows that its owner is
dead, kills what is in it and takes it away.

A process of another user can be allowed to fork into agents' cgroups, by clone3(2) with
CLONE_INTO_CGROUP: Linux asks of it that it may write cgroup.procs of the target and of
what is the nearest above both (`cgroup_procs_write_permission` in kernel/cgroup/cgroup.c).
So these files, and nothing else, are given to it; it can start and move processes
among the cgroups of this subtree, and neither change a limit nor reach a cgroup outside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Final

from clove.sandbox.cgroup.agent_cgroup import (
    AgentCgroup,
    CgroupEvents,
    CgroupLimits,
    apply,
    cpu_weight,
    get,
    put,
)
from clove.sandbox.cgroup.sites import LEAF, CgroupsUnavailable, Site, find_site, is_tree

__all__ = [
    "KERNEL_WEIGHT",
    "LEAF",
    "AgentCgroup",
    "CgroupEvents",
    "CgroupLimits",
    "CgroupTree",
    "CgroupsUnavailable",
    "cpu_weight",
]

ZYGOTE: Final = "zygote"
KERNEL_WEIGHT: Final = 1000
"""cpu.weight of the kernel's leaf and of the zygote; all agents together, beside the leaf, have 100.

Not more: what operators have EXEC run is in the kernel's leaf, too.
"""


class CgroupTree:
    """The subtree of one kernel.

    @ivar path: the directory that holds the agents' cgroups.
    @ivar controllers: those of cpu, io, memory and pids that agents have here.
    @ivar zygote: a cgroup for the process from which agents are forked.
    @ivar spawner_uid: user id of the zygote, which may fork into agents' cgroups; None: no other user may.
    """

    def __init__(
        self,
        path: str,
        controllers: frozenset[str],
        lock: int,
        site: Site,
        spawner_uid: int | None = None,
    ) -> None:
        self.path = path
        self.controllers = controllers
        self.zygote = AgentCgroup(f"{path}/{ZYGOTE}")
        self.spawner_uid = spawner_uid
        self._lock = lock
        self._site = site

    @classmethod
    def find(
        cls,
        mountinfo: str = "/proc/self/mountinfo",
        own: str = "/proc/self/cgroup",
        spawner_uid: int | None = None,
    ) -> CgroupTree:
        """Take a base, clean up after dead kernels, and make this kernel's own subtree.

        @param spawner_uid: a user, other than the kernel's own, that shall be able to fork
            into agents' cgroups. Where that cannot be given, the tree's is None.
        @raise CgroupsUnavailable: there is no base, or it refuses.
        """
        site = find_site(mountinfo, own)
        try:
            sweep(site.path)
            if site.move:
                _move(site.path, f"{site.path}/{LEAF}")
            path, lock = _own_tree(site.path)
        except OSError as error:
            raise CgroupsUnavailable(f"{site.path}: {error.strerror}") from None
        given = _give(path, _give(site.path, site.controllers))
        _prefer(f"{site.path}/{LEAF}")
        tree = cls(path, given, lock, site, _spawner(path, spawner_uid))
        try:
            _make(tree.zygote.path)
        except OSError as error:
            tree.close()
            raise CgroupsUnavailable(f"{tree.zygote.path}: {error.strerror}") from None
        _prefer(tree.zygote.path)
        return tree

    def create(self, agent_id: int, limits: CgroupLimits) -> AgentCgroup:
        """An agent's cgroup with as much of its limits as can be had.

        What an earlier one of that id has left is killed and removed.

        @raise OSError: cgroupfs refuses.
        """
        return self.limit(self.make(f"agent-{agent_id}"), limits)

    def make(self, name: str) -> AgentCgroup:
        """A cgroup without limits, for an agent that is not known yet.

        @raise OSError: cgroupfs refuses.
        """
        path = f"{self.path}/{name}"
        try:
            _make(path)
        except FileExistsError:
            AgentCgroup(path).remove()
            _make(path)
        if self.spawner_uid is not None:
            _give_procs(path, self.spawner_uid)
        return AgentCgroup(path)

    def limit(self, cgroup: AgentCgroup, limits: CgroupLimits) -> AgentCgroup:
        """The cgroup with as much of an agent's limits as can be had."""
        return AgentCgroup(cgroup.path, *apply(cgroup.path, limits, self.controllers))

    def close(self) -> None:
        """Kill all agents' processes and take everything away. Idempotent.

        @raise OSError: EBUSY: something does not die.
        """
        if self._lock < 0:
            return
        AgentCgroup(self.path).remove()
        os.close(self._lock)
        self._lock = -1
        if self._site.move:  # best effort: others may have come to live here
            base = self._site.path
            with contextlib.suppress(OSError):
                for controller in get(f"{base}/cgroup.subtree_control").split():
                    put(f"{base}/cgroup.subtree_control", f"-{controller}")
                _move(f"{base}/{LEAF}", base)
                os.rmdir(f"{base}/{LEAF}")


def sweep(base: str) -> list[str]:
    """Kill and remove what dead kernels have left in a base.

    @return: names of the subtrees removed.
    """
    swept = []
    for name in os.listdir(base):
        path = f"{base}/{name}"
        if not is_tree(name):
            continue
        lock = _try_lock(path)
        if lock is None:
            continue
        try:
            with contextlib.suppress(OSError):
                AgentCgroup(path).remove()
                swept.append(name)
        finally:
            os.close(lock)
    return swept


def _try_lock(path: str) -> int | None:
    """Lock a subtree; None if its owner lives or it is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _own_tree(base: str) -> tuple[str, int]:
    """Make and lock a subtree for this kernel."""
    for number in range(64):
        suffix = f"-{number}" if number else ""
        path = f"{base}/clove-{os.getpid()}{suffix}"
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            continue
        lock = _try_lock(path)  # None: another kernel that starts has swept it
        if lock is not None:
            return path, lock
    raise OSError(17, "no free name for a subtree", base)


def _make(path: str) -> None:
    """Make a cgroup that has none below it."""
    os.mkdir(path, 0o755)
    with contextlib.suppress(OSError):
        put(f"{path}/cgroup.max.descendants", "0")


def _prefer(path: str) -> None:
    """Weigh a cgroup of the kernel's own programs, if it is there and has the cpu controller."""
    with contextlib.suppress(OSError):
        put(f"{path}/cpu.weight", str(KERNEL_WEIGHT))


def _give_procs(path: str, uid: int) -> None:
    """Let a user put processes into a cgroup; its group and all other files stay as they are."""
    os.chown(f"{path}/cgroup.procs", uid, -1, follow_symlinks=False)


def _spawner(path: str, uid: int | None) -> int | None:
    """The user id that may fork into the cgroups below a subtree now, if that could be given."""
    if uid is not None:
        try:
            _give_procs(path, uid)
        except OSError:  # not root, or a user namespace without this user
            return None
    return uid


def _move(source: str, target: str) -> None:
    """Move all processes of one cgroup to another, which is made if needed."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(target, 0o755)
    for _ in range(8):  # processes may fork meanwhile
        pids = get(f"{source}/cgroup.procs").split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                put(f"{target}/cgroup.procs", pid)


def _give(path: str, controllers: frozenset[str]) -> frozenset[str]:
    """Give controllers on to a cgroup's children.

    @return: those that they have now.
    """
    file = f"{path}/cgroup.subtree_control"
    for controller in sorted(controllers - set(get(file).split())):
        with contextlib.suppress(OSError):
            put(file, f"+{controller}")
    return frozenset(get(file).split()) & controllers
