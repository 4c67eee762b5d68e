"""Paths to what is really there, held by O_PATH.

Standard library only, and little of it, for a quick start: the kernel uses it in its threads, the
sandbox's init inside an agent's namespaces. A path is looked up once and held. Where the real path is
judged and the held descriptor opened afterwards, there is no race: no name is looked up a second time.
"""

from __future__ import annotations

import errno
import os
import stat

from clove.sandbox.inside.openat2 import MAX_LINKS, MagicLink, hold, on_procfs

__all__ = ["MAX_PATH", "BadPath", "Held", "ProcessEntry", "absolute", "resolve"]

DELETED = " (deleted)"
MAX_PATH = 4095
"""Bytes in a path (PATH_MAX without its NUL)."""


class BadPath(ValueError):
    """The text can be no path: empty, too long, or with a NUL in it."""


class ProcessEntry(MagicLink):
    """The path is some process's entry in procfs.

    It would be opened with the rights of this process, which the caller may lack: for
    /proc/self it is this process's own entry, memory and environment included.
    """


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISFIFO(mode):
        return "fifo"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "device"


def _real_path(descriptor: int, asked: str) -> str:
    """The path of what is held, as the kernel knows it.

    @raise FileNotFoundError: it was unlinked, or cannot be reached from the root.
    """
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if path.startswith("/"):
        if not path.endswith(DELETED):
            return path
        try:  # a name may really end like this
            if os.path.samestat(os.lstat(path), os.fstat(descriptor)):
                return path
        except OSError:
            pass
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), asked)


class Held:
    """What a path led to, held by a descriptor until L{close}.

    @ivar path: absolute real path, links resolved; for `missing` the held
        parent's real path and the last name.
    @ivar descriptor: holds it (O_PATH); of a missing name its parent.
    @ivar kind: file, directory, fifo, socket, device or missing.
    @ivar size: bytes, for a file; else 0.
    @ivar links: number of hard links, for a file; else 0.
    @ivar proc: it lies on a procfs.
    """

    __slots__ = ("_name", "descriptor", "kind", "links", "path", "proc", "size")

    def __init__(self, descriptor: int, asked: str, name: str = "") -> None:
        self.descriptor = descriptor
        self._name = name
        found = os.fstat(descriptor)
        self.path = _real_path(descriptor, asked)
        self.kind = "missing" if name else _kind(found.st_mode)
        self.proc = on_procfs(descriptor)
        is_file = self.kind == "file"
        self.size = found.st_size if is_file else 0
        self.links = found.st_nlink if is_file else 0
        if name:
            self.path = f"{self.path.rstrip('/')}/{name}"

    def open(self, flags: int) -> int:
        """Open what is held; nothing is looked up by name but a missing file's last one.

        O_CLOEXEC, O_NONBLOCK and O_NOCTTY are always added.

        @param flags: as of open(2); for `missing` they must hold O_CREAT, and
            O_EXCL and O_NOFOLLOW are added (mode 0600).
        @return: a descriptor, which the caller closes.
        @raise FileNotFoundError: missing, and O_CREAT is not given.
        @raise FileExistsError: it was missing but no longer is.
        @raise OSError: EINVAL for a fifo, socket or device; else as open(2).
        """
        if self.descriptor < 0:
            raise OSError(errno.EBADF, "closed", self.path)
        flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        if self.kind == "missing":
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
            flags |= os.O_EXCL | os.O_NOFOLLOW
            return os.open(self._name, flags, 0o600, dir_fd=self.descriptor)
        if self.kind not in ("file", "directory"):
            raise OSError(errno.EINVAL, f"is a {self.kind}", self.path)
        flags &= ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
        return os.open(f"/proc/self/fd/{self.descriptor}", flags)

    def close(self) -> None:
        """Release it. Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _held(descriptor: int, asked: str, name: str = "") -> Held:
    try:
        held = Held(descriptor, asked, name)
        if held.proc and any(part.isdecimal() for part in held.path.split("/")):
            raise ProcessEntry(errno.EACCES, "is the entry of a process", asked)
    except BaseException:
        os.close(descriptor)
        raise
    return held


def absolute(path: str, base: str) -> str:
    """The whole path. @raise BadPath: see L{resolve}."""
    if not path:
        raise BadPath("a path must not be empty")
    if "\0" in path or "\0" in base:
        raise BadPath("a path must not hold a NUL")
    whole = path if path.startswith("/") else f"{base.rstrip('/')}/{path}"
    try:
        size = len(os.fsencode(whole))
    except UnicodeEncodeError:
        raise BadPath("a path must be valid Unicode") from None
    if size > MAX_PATH:
        raise BadPath(f"a path has at most {MAX_PATH} bytes, this one {size}")
    if not whole.startswith("/"):
        raise BadPath("the directory that relative paths start from must be absolute")
    return whole


def resolve(path: str, base: str) -> Held:
    """Look a path up and hold what it leads to.

    Links are followed, a last one that leads to nothing included: then the
    place where its target would be is held.

    @param path: absolute, or relative to base.
    @param base: absolute directory.
    @raise BadPath: the path is empty, too long or has a NUL.
    @raise MagicLink: it leads through a magic link.
    @raise ProcessEntry: it leads to some process's entry in procfs.
    @raise FileNotFoundError: even its directory is missing.
    @raise OSError: ELOOP, EACCES, ENOTDIR and others, as openat2(2) gives them.
    """
    whole = absolute(path, base)
    for _ in range(MAX_LINKS):
        try:
            return _held(hold(whole), path)
        except FileNotFoundError:
            parent, _, name = whole.rpartition("/")
            if name in ("", ".", ".."):
                raise
        directory = hold(f"{parent}/")
        try:
            target = os.readlink(name, dir_fd=directory)
            start = "" if target.startswith("/") else _real_path(directory, path).rstrip("/") + "/"
        except FileNotFoundError:
            return _held(directory, path, name)
        except OSError as error:
            os.close(directory)
            if error.errno != errno.EINVAL:  # no link: it has just been made, so look again
                raise
            continue
        os.close(directory)
        whole = start + target
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
