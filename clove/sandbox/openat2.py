"""Paths to what is really there: openat2(2) without magic links, held by O_PATH.

Standard library only, and little of it, for a quick start: the kernel uses it
in its threads, the sandbox's init inside an agent's namespaces. A path is looked up once and held; whoever judges
the real path and then opens the held descriptor cannot be raced, because no
name is looked up a second time.

Magic links are the links of procfs that jump to an object instead of naming a
path (/proc/PID/fd/N, /proc/PID/root, /proc/PID/cwd): they lead around every
path rule, so they are refused. Sources: openat2(2), proc(5), path_resolution(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

__all__ = [
    "MAX_PATH",
    "BadPath",
    "Held",
    "MagicLink",
    "ProcessEntry",
    "available",
    "resolve",
    "walk",
]

SYS_OPENAT2 = 437  # the same number on all architectures but alpha
RESOLVE_NO_MAGICLINKS = 0x02
AT_FDCWD = -100
PROC_SUPER_MAGIC = 0x9FA0
PROC_ROOT_INODE = 1
DELETED = " (deleted)"

MAX_PATH = 4095
"""Bytes in a path (PATH_MAX without its NUL)."""
MAX_LINKS = 40
"""Symbolic links followed on one path, as the kernel's own MAXSYMLINKS."""

_HOLD = os.O_PATH | os.O_CLOEXEC


class BadPath(ValueError):
    """The text can be no path: empty, too long, or with a NUL in it."""


class MagicLink(PermissionError):
    """The path leads through a magic link of procfs."""


class ProcessEntry(MagicLink):
    """The path is some process's entry in procfs.

    Whoever opens it here does so with rights that the asker may lack: for
    /proc/self it is this process's own entry, memory and environment included.
    """


class _OpenHow(ctypes.Structure):
    """struct open_how of linux/openat2.h."""

    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


_libc = ctypes.CDLL(None, use_errno=True)
_found: list[bool] = []  # whether openat2 is there, once that is known


def _openat2(path: str, flags: int, directory: int = AT_FDCWD) -> int:
    """openat2(2) with RESOLVE_NO_MAGICLINKS.

    @raise OSError: as the system call gives it.
    """
    how = _OpenHow(flags=flags, mode=0, resolve=RESOLVE_NO_MAGICLINKS)
    number = _libc.syscall(
        ctypes.c_long(SYS_OPENAT2),
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if number < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return int(number)


def available() -> bool:
    """True if this kernel has openat2 (Linux 5.6) and nothing forbids it here."""
    if not _found:
        try:
            os.close(_openat2("/", _HOLD))
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):
                raise
            _found.append(False)
        else:
            _found.append(True)
    return _found[0]


def _on_procfs(descriptor: int) -> bool:
    """True if what is held lies on a procfs (fstatfs(2), whose first word is f_type)."""
    buffer = ctypes.create_string_buffer(256)
    if _libc.fstatfs(ctypes.c_int(descriptor), buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF == PROC_SUPER_MAGIC


def walk(path: str) -> int:
    """What openat2 does, one component at a time, for systems without it.

    On procfs only the links right below its root (self, thread-self, mounts,
    net) are ordinary; all others are taken for magic ones.

    @param path: absolute.
    @return: an O_PATH descriptor.
    @raise MagicLink: the path leads through one.
    @raise OSError: as open(2) gives it.
    """
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    if todo and path.endswith(("/", "/.")):
        todo.insert(0, ".")
    links = 0
    here = os.open("/", _HOLD | os.O_DIRECTORY)
    try:
        while todo:
            part = todo.pop()
            there = os.open(part, _HOLD | os.O_NOFOLLOW, dir_fd=here)
            if stat.S_ISLNK(os.fstat(there).st_mode):
                try:
                    target = _read_link(there, here, path)
                finally:
                    os.close(there)
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.startswith("/"):
                    os.close(here)
                    here = -1
                    here = os.open("/", _HOLD | os.O_DIRECTORY)
                todo += [piece for piece in reversed(target.split("/")) if piece]
                continue
            os.close(here)
            here = there
    except BaseException:
        if here >= 0:
            os.close(here)
        raise
    return here


def _read_link(link: int, parent: int, path: str) -> str:
    """Where a held link leads.

    @raise MagicLink: it is one.
    """
    if _on_procfs(link) and os.fstat(parent).st_ino != PROC_ROOT_INODE:
        raise MagicLink(errno.ELOOP, "leads through a magic link", path)
    return os.readlink("", dir_fd=link)


def _hold(path: str) -> int:
    """An O_PATH descriptor of what an absolute path leads to.

    @raise MagicLink, OSError: see L{resolve}.
    """
    if not available():
        return walk(path)
    try:
        return _openat2(path, _HOLD)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        os.close(walk(path))  # says which of the two reasons for ELOOP it is
        raise


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
    @ivar kind: file, directory, fifo, socket, device or missing.
    @ivar size: bytes, for a file; else 0.
    @ivar links: number of hard links, for a file; else 0.
    @ivar proc: it lies on a procfs.
    """

    __slots__ = ("_descriptor", "_name", "kind", "links", "path", "proc", "size")

    def __init__(self, descriptor: int, asked: str, name: str = "") -> None:
        self._descriptor = descriptor
        self._name = name
        found = os.fstat(descriptor)
        self.path = _real_path(descriptor, asked)
        self.kind = "missing" if name else _kind(found.st_mode)
        self.proc = _on_procfs(descriptor)
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
        if self._descriptor < 0:
            raise OSError(errno.EBADF, "closed", self.path)
        flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        if self.kind == "missing":
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
            flags |= os.O_EXCL | os.O_NOFOLLOW
            return os.open(self._name, flags, 0o600, dir_fd=self._descriptor)
        if self.kind not in ("file", "directory"):
            raise OSError(errno.EINVAL, f"is a {self.kind}", self.path)
        flags &= ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
        return os.open(f"/proc/self/fd/{self._descriptor}", flags)

    def close(self) -> None:
        """Release it. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
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
    for _ in range(MAX_LINKS):
        try:
            return _held(_hold(whole), path)
        except FileNotFoundError:
            parent, _, name = whole.rpartition("/")
            if name in ("", ".", ".."):
                raise
        directory = _hold(f"{parent}/")
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
