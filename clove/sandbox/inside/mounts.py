"""Detached mounts: copies of host paths (of a `Bind`), new file systems, and reaching a target.

Every source is opened without following links and copied as a detached mount
that has its attributes before anything can reach it. A target is reached
without following links either. So a path that is swapped meanwhile makes
the set-up fail; it never makes it mount or write something else. Needs Linux
5.12 (mount_setattr(2)).
"""

from __future__ import annotations

import errno
import os
import stat

from clove.sandbox.inside import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "MOST_MAPS",
    "NODEV",
    "NOEXEC",
    "NOSUID",
    "RDONLY",
    "clone",
    "copy",
    "follow_host",
    "is_directory",
    "make",
    "make_private",
    "map_ids",
    "open_bind",
    "reach",
    "terminals",
    "tmpfs",
    "write_file",
]

MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000

RDONLY = 0x1
NOSUID = 0x2
NODEV = 0x4
NOEXEC = 0x8
"""MOUNT_ATTR_* (mount_setattr(2))."""
IDMAP = 0x100000
MOST_MAPS = 64
"""Owners that the mounts of one sandbox may have."""

NO_LINKS = 0x02 | 0x04
"""RESOLVE_NO_MAGICLINKS and RESOLVE_NO_SYMLINKS (openat2(2))."""
BENEATH = NO_LINKS | 0x08
"""And RESOLVE_BENEATH."""


def make_private() -> None:
    """Let no mount made in this namespace show anywhere else, nor the other way."""
    syscalls.mount("none", "/", "", MS_REC | MS_PRIVATE)


def follow_host() -> None:
    """Let no mount made in this namespace show anywhere else; the host's do show here."""
    syscalls.mount("none", "/", "", MS_REC | MS_SLAVE)


def copy(
    source: str,
    attributes: int,
    identity: tuple[int, int] | None = None,
    *,
    id_map: int = -1,
    owner: int | None = None,
) -> int:
    """A detached copy of everything mounted at a host path.

    It is private also where the host's mounts are shared: what is mounted upon it
    would else show on the host, and what the host mounts later, without these
    attributes, in the copy.

    @param identity: device and inode number of what must be there.
    @param id_map: descriptor of a user namespace with the map of its owners' ids, if they
        are not to stay what they are.
    @param owner: the user who must own what is there.
    @raise OSError: ELOOP where a part of the path is a symbolic link, ESTALE where
        something else is there.
    """
    try:
        place = syscalls.openat2(syscalls.AT_FDCWD, source, os.O_PATH, NO_LINKS)
        try:
            facts = os.fstat(place)
            if identity is not None and identity != (facts.st_dev, facts.st_ino):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            if owner is not None and owner != facts.st_uid:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            tree = syscalls.open_tree("", dir_fd=place)
        finally:
            os.close(place)
        syscalls.mount_setattr(tree, attributes, propagation=MS_PRIVATE)
        if id_map >= 0:
            map_ids(tree, id_map)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), source) from None
    return tree


def map_ids(tree: int, user_namespace: int) -> None:
    """Map the owners of files on a detached mount, and on those below it if all of them can be.

    @param user_namespace: a descriptor of one that has the map.
    @raise OSError: EINVAL where its file system cannot, EPERM where this process may not or
        they are mapped already.
    """
    try:
        syscalls.mount_setattr(tree, IDMAP, user_namespace=user_namespace)
    except OSError:
        syscalls.mount_setattr(tree, IDMAP, recursive=False, user_namespace=user_namespace)


def clone(directory: int, name: str) -> int:
    """A detached copy of what is at a name below a directory; submounts are left out."""
    place = reach(directory, name)
    try:
        return syscalls.open_tree("", dir_fd=place, recursive=False)
    finally:
        os.close(place)


def tmpfs(size: int, attributes: int, mode: str = "1777") -> int:
    """A new detached tmpfs.

    @param size: bytes that files in it may take; there may be a file for every two KiB.
    """
    context = syscalls.fsopen("tmpfs")
    try:
        syscalls.fsconfig(context, "size", str(max(size, 4096)))
        syscalls.fsconfig(context, "nr_inodes", str(max(size >> 11, 1024)))
        syscalls.fsconfig(context, "mode", mode)
        return syscalls.fsmount(context, attributes)
    finally:
        os.close(context)


def terminals(most: int) -> int:
    """A new detached devpts: pseudoterminals that only those see who can reach it.

    No group is set, as the usual one (tty) is none that a user namespace need have.

    @param most: there may be so many at a time.
    """
    context = syscalls.fsopen("devpts")
    try:
        syscalls.fsconfig(context, "max", str(most))
        syscalls.fsconfig(context, "mode", "0600")
        syscalls.fsconfig(context, "ptmxmode", "0666")
        return syscalls.fsmount(context, NOSUID | NOEXEC)
    finally:
        os.close(context)


def reach(directory: int, path: str, flags: int = 0) -> int:
    """An O_PATH descriptor of a path below a directory, by no link at all."""
    return syscalls.openat2(directory, path, os.O_PATH | flags, BENEATH)


def make(directory: int, name: str, *, is_a_directory: bool) -> None:
    """A mount point: an empty directory or file; one that is there will do."""
    try:
        if is_a_directory:
            os.mkdir(name, 0o755, dir_fd=directory)
        else:
            flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o444, dir_fd=directory))
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise


def write_file(
    directory: int, name: str, text: str, mode: int = 0o444, owner: int | None = None
) -> None:
    """A new file, which all users may read.

    @param owner: the user and group whose it becomes; None: this process's.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, mode, dir_fd=directory)
    try:
        os.fchmod(descriptor, mode)
        os.write(descriptor, text.encode())
        if owner is not None:
            os.fchown(descriptor, owner, owner)
    finally:
        os.close(descriptor)


def is_directory(descriptor: int) -> bool:
    """What a descriptor, O_PATH or a mount's, refers to."""
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def open_bind(bind: Mapping[str, Any]) -> int:
    """The detached mount of a bind, or -1 for an optional one that the host lacks.

    @param bind: the fields of C{Bind}; `tree` where the kernel has sent the mount, `id_map`
        a descriptor of the map of its owners, where it has one.
    @raise OSError: its filename names what cannot be had.
    """
    if "tree" in bind:
        return int(bind["tree"])
    identity = bind.get("identity")
    try:
        return copy(
            bind["source"],
            _attributes(bind),
            identity and tuple(identity),
            id_map=bind.get("id_map", -1),
            owner=_required_owner(bind),
        )
    except FileNotFoundError:
        if bind["optional"]:
            return -1
        raise


def _attributes(bind: Mapping[str, Any]) -> int:
    flags = NOSUID | NODEV | (0 if bind["writable"] else RDONLY)
    return flags | (NOEXEC if bind["noexec"] else 0)


def _required_owner(bind: Mapping[str, Any]) -> int | None:
    """The user id that must own what is mounted; None: any user may."""
    owner = bind.get("owner")
    if owner is None:
        return None
    uid, _, whole = owner
    return int(uid) if whole else None
