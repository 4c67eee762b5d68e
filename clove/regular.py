"""Reading small files that another user may have exchanged for something that never ends, and writing them whole.

Opening a FIFO without a writer blocks, a device may do anything, and a link to /dev/zero never
ends. So the file is opened without waiting, what was opened
must be a regular file, and no more is read than a bound. Standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

__all__ = [
    "NotSmall",
    "existing",
    "open_regular",
    "read_credentials",
    "read_regular",
    "read_secret",
    "write_whole",
]


MOST_CREDENTIALS = 1024
"""Bytes of a file with a user and a password."""


class NotSmall(OSError):
    """It is no regular file (EINVAL), or longer than the bound (EFBIG); the text says which."""


def open_regular(path: str) -> int:
    """Open a file for reading, its links followed, if it is a regular one. Does not wait.

    @raise NotSmall: it is something else.
    @raise OSError: as open(2) gives it.
    """
    held = os.open(path, os.O_PATH | os.O_CLOEXEC)  # opening a device may do something
    try:
        _check(held, path)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            return os.open(f"/proc/self/fd/{held}", flags)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
    finally:
        os.close(held)


def _check(descriptor: int, name: str | None) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise NotSmall(errno.EINVAL, f"is {_named(mode)}, not a regular file", name)


def existing(path: str | None) -> str | None:
    """The path, unless it is surely known that nothing is there: what cannot be read is for the reader to say."""
    if not path:
        return None
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass
    return path


def read_regular(file: str | int, most: int) -> bytes:
    """The whole of a small regular file. Blocking, but for no longer than the disk takes.

    @param file: its path, or a descriptor that is open for reading, which is closed.
    @param most: bytes that it may have.
    @raise NotSmall: it is something else, or longer.
    @raise OSError: as open(2) and read(2) give it.
    """
    name = file if isinstance(file, str) else None
    descriptor = open_regular(file) if isinstance(file, str) else file
    try:
        _check(descriptor, name)
        pieces: list[bytes] = []
        left = most + 1
        while left > 0 and (piece := os.read(descriptor, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(descriptor)
    if left <= 0:
        raise NotSmall(errno.EFBIG, f"has more than {most} bytes", name)
    return b"".join(pieces)


def read_secret(path: str, most: int) -> bytes:
    """The whole of a small file that holds a secret. Blocking, as L{read_regular}.

    @raise ValueError: it cannot be read, or all users may read or change it; the text says so,
        and never what is in it.
    """
    try:
        descriptor = open_regular(path)
        if os.fstat(descriptor).st_mode & 0o007:
            os.close(descriptor)
            raise ValueError(f"all users can read {path} or change it; chmod o-rwx it")
        return read_regular(descriptor, most)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


def read_credentials(path: str) -> tuple[str, str]:
    """User and password from a secret file with one line `USER:PASSWORD`. Blocking.

    @raise ValueError: as L{read_secret} says, or there is no such line.
    """
    try:
        text = read_secret(path, MOST_CREDENTIALS).decode().strip("\r\n")
    except UnicodeDecodeError:
        text = ""
    user, colon, password = text.partition(":")
    if not user or not colon or not text.isprintable():
        raise ValueError(f"{path} has no line USER:PASSWORD")
    return user, password


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Put a file, for its user alone, in the place of what is there: whole, and on the disk, or not at all. Blocking.

    One writer at a time: it is written beside, as C{PATH.new}, and renamed. What a killed one has left there is
    replaced, and no link is followed.

    @raise OSError: it cannot be written; what was there is unchanged.
    """
    path = os.fspath(path)
    beside = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(beside, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _named(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a fifo",
        stat.S_IFSOCK: "a socket",
        stat.S_IFDIR: "a directory",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
