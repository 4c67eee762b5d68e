"""The private root of a sandbox: what is in it, and the move into it."""

from __future__ import annotations

import os

from clove.sandbox.inside import mounts, syscalls
from clove.sandbox.inside.mounts import NODEV, NOEXEC, NOSUID, RDONLY, open_bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

__all__ = [
    "DEVICES",
    "SECRETS",
    "SHM_BYTES",
    "TERMINALS",
    "TMP_BYTES",
    "PrivateRoot",
    "new_proc",
]

MNT_DETACH = 2

ROOT_BYTES = 4 << 20
"""Room in the root's own tmpfs: mount points and the made-up files."""
TMP_BYTES = 512 << 20
"""Room in /tmp unless the spec names another; writes beyond it fail with ENOSPC."""
SHM_BYTES = 128 << 20
"""Room in /dev/shm unless the spec names another."""
SECRETS = "/run/secrets"
"""Where secrets are that are files; each root has it, so that warm ones need not be built for it."""
PAGE = 4096

TERMINALS = 32
"""Pseudoterminals of a sandbox at a time; one more is ENOSPC. All sandboxes together have
kernel.pty.max less kernel.pty.reserve, which Linux keeps for the host (4096 and 1024)."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
}
READ_ONLY_PROC = ("sys", "irq", "bus", "fs", "pressure", "sysrq-trigger")
"""Parts of /proc that would change the machine: read-only."""
EMPTY_PROC = ("acpi", "scsi", "driver", "tty", "dynamic_debug", "asound")
"""Directories of /proc about the machine's hardware: an empty directory instead."""
MASKED_PROC = (
    "cmdline",
    "bootconfig",
    "partitions",
    "diskstats",
    "swaps",
    "mdstat",
    "locks",
    "iomem",
    "ioports",
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "kmsg",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "sched_debug",
    "timer_list",
    "timer_stats",
    "latency_stats",
    "vmallocinfo",
    "slabinfo",
    "modules",
    "interrupts",
    "config.gz",
)
"""Files of /proc about the machine, its kernel and its disks: /dev/null instead."""


class PrivateRoot:
    """Builds a root file system and moves into it.

    Nothing is ever created in a directory that was bound, only on the tmpfs
    that this object made.

    @ivar sysctls: descriptor of /proc/sys as it is below its mask, for what must still be
        written there; the caller closes it. -1 before L{build}.
    """

    def __init__(self) -> None:
        self.sysctls = -1
        self._root = -1
        self._own: set[int] = set()

    def build(self, spec: Mapping[str, Any], *, own_proc: bool) -> None:
        """Make it all, in the mount namespace that the caller has just entered.

        @param spec: the fields of C{SandboxSpec}.
        @param own_proc: the caller is in a pid namespace of its own.
        @raise OSError: its filename names the path that could not be had.
        """
        mounts.make_private()
        binds = [(bind["target"], tree) for bind in spec["binds"] if (tree := open_bind(bind)) >= 0]
        devices = [(name, mounts.copy(f"/dev/{name}", NOSUID | NOEXEC)) for name in DEVICES]
        proc = new_proc() if own_proc else mounts.copy("/proc", NOSUID | NODEV | NOEXEC)
        self._mount_root()
        self._add_tmpfs("/dev", 1 << 20, mode="0755")
        self._attach(mounts.terminals(TERMINALS), "/dev/pts")
        self._add_scratch(spec)
        self._populate(spec, devices, binds)
        self._add_secrets(spec)
        self._mount_proc(proc)

    def _populate(
        self,
        spec: Mapping[str, Any],
        devices: Sequence[tuple[str, int]],
        binds: Sequence[tuple[str, int]],
    ) -> None:
        """Attach what is held, later binds inside earlier ones, and make links and files."""
        for name, tree in devices:
            self._attach(tree, f"/dev/{name}")
        for target, tree in binds:
            self._attach(tree, target)
        for path, text in {**DEVICE_LINKS, **spec["links"]}.items():
            self._link(path, text)
        for path, text in spec["files"].items():
            self._write(path, text)

    def enter(self) -> None:
        """Make it the root of this process, read-only, and let go of the old one.

        It stays there: a program goes to its directory itself, with the agent's rights. This
        process still has the host's, and holds directories of it (/proc/self/fd).
        """
        self._seal()
        os.fchdir(self._root)
        syscalls.pivot_root(".", ".")
        syscalls.umount2(".", MNT_DETACH)
        os.close(self._root)
        os.chdir("/")

    def _seal(self) -> None:
        """Make what was made here read-only."""
        for path in ("dev", "."):
            tree = mounts.reach(self._root, path)
            syscalls.mount_setattr(tree, RDONLY, recursive=False)
            os.close(tree)

    def _mount_root(self, *mount_points: str) -> None:
        """Hang the new root somewhere until pivot_root; all sources are held already."""
        self._root = mounts.tmpfs(ROOT_BYTES, NOSUID | NODEV, mode="0755")
        self._own.add(os.fstat(self._root).st_dev)
        for path in mount_points or ("/tmp", "/usr", "/"):  # noqa: S108
            try:
                target = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            syscalls.move_mount(self._root, target)
            os.close(target)
            return

    def _add_scratch(self, spec: Mapping[str, Any]) -> None:
        """Room for files that go with the sandbox."""
        alone = spec["executables"]
        for path, size in sorted({"/dev/shm": SHM_BYTES, **spec["tmpfs"]}.items()):  # noqa: S108
            noexec = alone is not None and path not in alone
            self._add_tmpfs(path, size, attributes=NOEXEC if noexec else 0)

    def _add_secrets(self, spec: Mapping[str, Any]) -> None:
        """Secrets that are files: in memory, read-only, for the agent alone."""
        found = spec["secrets"]
        if not found:
            parent, name = self._parent(SECRETS)
            mounts.make(parent, name, is_a_directory=True)
            os.close(parent)
            return
        pages = sum(len(text.encode()) // PAGE + 2 for text in found.values())
        tree = mounts.tmpfs((pages + 2) * PAGE, NOSUID | NODEV | NOEXEC, mode="0755")
        for name, text in found.items():
            mounts.write_file(tree, name, text, 0o400, _agent_here(spec))
        syscalls.mount_setattr(tree, RDONLY, recursive=False)
        self._attach(tree, SECRETS)

    def _add_tmpfs(self, path: str, size: int, mode: str = "1777", *, attributes: int = 0) -> None:
        tree = mounts.tmpfs(size, NOSUID | NODEV | attributes, mode)
        self._own.add(os.fstat(tree).st_dev)
        self._attach(tree, path)

    def _attach(self, tree: int, path: str) -> None:
        """Mount a detached tree at a path inside; the descriptor is used up."""
        try:
            parent, name = self._parent(path)
            if self._is_own(parent):
                mounts.make(parent, name, is_a_directory=mounts.is_directory(tree))
            target = mounts.reach(parent, name)
            syscalls.move_mount(tree, target)
            for descriptor in (parent, target, tree):
                os.close(descriptor)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from None

    def _parent(self, path: str) -> tuple[int, str]:
        """The directory that a path inside is in, made where it is missing."""
        *directories, name = [part for part in path.split("/") if part not in ("", ".")]
        try:  # it nearly always is there: one call, not four for each part
            return mounts.reach(self._root, "/".join(directories) or ".", os.O_DIRECTORY), name
        except FileNotFoundError:
            here = mounts.reach(self._root, ".")
        for part in directories:
            if self._is_own(here):
                mounts.make(here, part, is_a_directory=True)
            there = mounts.reach(here, part, os.O_DIRECTORY)
            os.close(here)
            here = there
        return here, name

    def _is_own(self, directory: int) -> bool:
        return os.fstat(directory).st_dev in self._own

    def _link(self, path: str, text: str) -> None:
        parent, name = self._parent(path)
        os.symlink(text, name, dir_fd=parent)
        os.close(parent)

    def _write(self, path: str, text: str) -> None:
        parent, name = self._parent(path)
        mounts.write_file(parent, name, text)
        os.close(parent)

    def _mount_proc(self, tree: int) -> None:
        """Attach the procfs and cover what says or changes too much of the machine."""
        parent, name = self._parent("/proc")
        mounts.make(parent, name, is_a_directory=True)
        target = mounts.reach(parent, name)
        syscalls.move_mount(tree, target)
        # Not a mount of its own: closing the last descriptor of one takes a millisecond.
        self.sysctls = mounts.reach(tree, "sys")
        for path in READ_ONLY_PROC:
            _cover(tree, path, _read_only_copy)
        for path in EMPTY_PROC:
            _cover(tree, path, lambda _: mounts.tmpfs(0, RDONLY | NOSUID | NODEV, "0555"))
        null = mounts.reach(self._root, "dev/null")
        for path in MASKED_PROC:
            _cover(tree, path, lambda _: syscalls.open_tree("", dir_fd=null, recursive=False))
        for descriptor in (parent, target, tree, null):
            os.close(descriptor)


def _agent_here(spec: Mapping[str, Any]) -> int | None:
    """The agent's user id as this process has it; None: it is this process's own."""
    own = os.geteuid()
    uid = spec.get("inside_uid", spec["uid"] if own == 0 else None)
    return None if uid is None or uid == own else int(uid)


def new_proc() -> int:
    """A detached procfs of this pid namespace."""
    context = syscalls.fsopen("proc")
    try:
        return syscalls.fsmount(context, NOSUID | NODEV | NOEXEC)
    finally:
        os.close(context)


def _read_only_copy(place: int) -> int:
    tree = syscalls.open_tree("", dir_fd=place, recursive=False)
    syscalls.mount_setattr(tree, RDONLY, recursive=False)
    return tree


def _cover(proc: int, path: str, cover: Callable[[int], int]) -> None:
    """Mount something over a path of the procfs, if this machine has it.

    @param cover: given a descriptor of what is there, makes what hides it.
    """
    try:
        target = mounts.reach(proc, path)
    except FileNotFoundError:
        return
    tree = cover(target)
    syscalls.move_mount(tree, target)
    os.close(tree)
    os.close(target)
