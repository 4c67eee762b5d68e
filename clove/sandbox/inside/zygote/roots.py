"""The root that the zygote makes once, and what each child adds to its copy.

The zygote has the host's mounts as they were when it started, and its own root
on top of them. It is chrooted into that root and its working directory is the
host's; a child has a copy of both.
"""

from __future__ import annotations

import os

from clove.sandbox.inside import mounts, syscalls
from clove.sandbox.inside.mounts import NOEXEC, NOSUID, open_bind
from clove.sandbox.inside.root import (
    DEVICES,
    MNT_DETACH,
    SECRETS,
    SHM_BYTES,
    TERMINALS,
    TMP_BYTES,
    PrivateRoot,
    new_proc,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["MOST_TREES", "MOUNT_POINTS", "BaseRoot", "RootOnBase", "receive_trees"]

PRIVATE = ("/tmp", "/dev/shm", "/dev/pts")  # noqa: S108 private ones
MOUNT_POINTS = ("/proc", "/workspace", "/app", SECRETS, *PRIVATE)
"""Where a child mounts its own."""
MOST_TREES = 128
"""Mount descriptors that the kernel may send with one message."""
HIDING = "/app"
"""A mount point of each spec: what is mounted there hides a child's scratch."""
SCRATCH_BYTES = 64 << 10
"""Room for files of a child's own in /etc."""


def receive_trees(binds: Sequence[dict[str, Any]], trees: Sequence[int]) -> None:
    """Let binds that the kernel has opened name their descriptor; the others are closed."""
    unused = set(trees)
    for bind in binds:
        if "tree" in bind:
            bind["tree"] = trees[bind["tree"]]
            unused.discard(bind["tree"])
    for descriptor in unused:
        os.close(descriptor)


class BaseRoot(PrivateRoot):
    """The zygote's own root: what all sandboxes have, and nothing else."""

    def prepare(self, spec: Mapping[str, Any]) -> None:
        """Make it, read-only, and move into it.

        @param spec: the fields of C{SandboxSpec}.
        @raise OSError: its filename names the path that could not be had.
        """
        mounts.follow_host()
        host = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        binds = [(bind["target"], tree) for bind in spec["binds"] if (tree := open_bind(bind)) >= 0]
        devices = [(name, mounts.copy(f"/dev/{name}", NOSUID | NOEXEC)) for name in DEVICES]
        self._mount_root("/")  # on top of everything, so that it hides nothing
        self._add_tmpfs("/dev", 1 << 20, mode="0755")
        self._populate(spec, devices, binds)
        for path in MOUNT_POINTS:
            parent, name = self._parent(path)
            mounts.make(parent, name, is_a_directory=True)
            os.close(parent)
        self._seal()
        os.fchdir(self._root)
        os.chroot(".")
        os.fchdir(host)
        os.close(host)
        os.close(self._root)


class RootOnBase(PrivateRoot):
    """A child's root: its copy of the zygote's, with its own mounts."""

    _scratch: Mapping[str, Any] = {}

    def leave_root(self) -> None:
        """Be in the host's root, as the zygote knew it, until there is another one.

        pivot_root(2) moves processes that have the old root, so the main program is forked after this.
        """
        self._root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chroot(".")

    def begin(self) -> None:
        """Do what needs no spec, in the namespaces that the child was made in."""
        mounts.make_private()
        self._mount_proc(new_proc())
        self._attach(mounts.terminals(TERMINALS), "/dev/pts")
        usual = {"/tmp": TMP_BYTES, "/dev/shm": SHM_BYTES}  # noqa: S108 private ones
        self._scratch = {"tmpfs": usual, "executables": None}
        self._add_scratch(self._scratch)

    def close(self) -> None:
        """The spec asks for another root, which takes the place of the host's: nothing may lie on that."""
        syscalls.umount2("/", MNT_DETACH)
        os.close(self._root)
        os.close(self.sysctls)

    def build(self, spec: Mapping[str, Any], *, own_proc: bool) -> None:
        """Add what the spec has beyond the base. @see: L{PrivateRoot.build}.

        @param spec: `binds` are those that the base lacks, `beyond` the files in
            which this root differs.
        """
        binds = [(bind["target"], tree) for bind in spec["binds"] if (tree := open_bind(bind)) >= 0]
        if any(spec[name] != usual for name, usual in self._scratch.items()):
            self._add_scratch(spec)  # on top
        if spec["beyond"]:
            self._cover_files(spec["beyond"])
        for target, tree in binds:
            self._attach(tree, target)
        if spec["secrets"]:
            self._add_secrets(spec)

    def _cover_files(self, files: Mapping[str, str]) -> None:
        """Mount files over those of the base. Their own mount is hidden below the next one."""
        tree = mounts.tmpfs(SCRATCH_BYTES, NOSUID | NOEXEC | mounts.NODEV, mode="0755")
        for number, text in enumerate(files.values()):
            mounts.write_file(tree, str(number), text)
        syscalls.mount_setattr(tree, mounts.RDONLY, recursive=False)
        target = mounts.reach(self._root, HIDING.lstrip("/"))
        syscalls.move_mount(tree, target)
        os.close(target)
        for number, path in enumerate(files):
            self._attach(mounts.clone(tree, str(number)), path)
        os.close(tree)
