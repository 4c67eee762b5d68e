"""Files between this machine and an agent's view, piece by piece.

An agent may change its files while they are copied, and chooses their names. So a name that comes
from it is one component and nothing else; here everything is opened below the directory that the
user named, by descriptors, without following a link that lies there; and what is no file,
directory or link is left out. An agent also chooses how much there is: a copy ends at a number of bytes
and names, and before a file for which the disk here has no room; a file is read to where it ended at first.
"""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from clove.cli.ls import entries_of
from clove.cli.progress import Progress
from clove.cli.text import size
from clove.errors import CloveError, InvalidRequest, LimitExceeded

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.blocking import CloveClient

__all__ = ["Bounds", "Transfer", "pieces_of"]

READ: Final = 4 << 20
"""Bytes asked for at a time; the reply is a third longer, as base64."""
WRITE: Final = 512 << 10
"""Bytes sent at a time: a request has 1 MiB."""
DEEPEST: Final = 128
"""Directories within each other."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Bounds(NamedTuple):
    """How much one copy may bring here.

    @ivar size: bytes.
    @ivar names: files and directories.
    """

    size: int = 16 << 30
    names: int = 1_000_000


class _TooMuch(LimitExceeded):
    """The whole copy ends; other errors are those of one file."""


def pieces_of(client: CloveClient, agent: str | int, path: str) -> Iterator[bytes]:
    """A file's bytes, until nothing comes; a file that grows is read to where it ends then."""
    offset = 0
    while True:
        reply = client.read_file(path, offset=offset, limit=READ, encoding="base64", agent=agent)
        data = base64.b64decode(reply["content"])
        if not data:
            return
        yield data
        offset += len(data)


class Transfer:
    """One copy.

    @param bounds: of what is copied here.
    @ivar copied: files so far.
    @ivar size: bytes so far.
    @ivar left_out: what was not copied.
    """

    def __init__(
        self,
        console: Console,
        client: CloveClient,
        agent: str | int,
        bounds: Bounds = Bounds(),  # noqa: B008 it is a constant
    ) -> None:
        self._console = console
        self._client = client
        self._agent = agent
        self._bounds = bounds
        self._progress = Progress(sys.stderr, time.monotonic, shown=not console.as_json)
        self._names = 0
        self.copied = 0
        self.size = 0
        self.left_out = 0

    # from the agent

    def fetch(self, path: str, kind: str, directory: int, name: str, depth: int = 0) -> None:
        """Copy a file or directory of the agent's into a directory of ours.

        @param directory: descriptor of ours; C{name} is a name in it.
        @raise InvalidRequest: the name is none.
        @raise LimitExceeded: it is too much.
        """
        self._names += 1
        if self._names > self._bounds.names:
            raise _TooMuch(
                f"more than {self._bounds.names} files and directories", hint="copy a part of them"
            )
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise InvalidRequest(f"{name!r} cannot be the name of a file")
        if kind == "directory":
            self._fetch_directory(path, directory, name, depth)
        elif kind == "file":
            self._fetch_file(path, directory, name)
        else:
            self._leave_out(path, f"a {kind}")

    def _fetch_directory(self, path: str, directory: int, name: str, depth: int) -> None:
        if depth >= DEEPEST:
            raise LimitExceeded(f"{path!r}: more than {DEEPEST} directories within each other")
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o777, dir_fd=directory)
        with _opened(name, directory) as inner:
            for entry in entries_of(self._console, self._client, path, self._agent):
                if entry["escaped"]:
                    self._leave_out(f"{path}/{entry['name']}", "a name that is no Unicode")
                    continue
                below = f"{path.rstrip('/')}/{entry['name']}"
                try:
                    self.fetch(below, str(entry["kind"]), inner, str(entry["name"]), depth + 1)
                except _TooMuch:
                    raise
                except CloveError as error:
                    self._leave_out(below, error.message)

    def _fetch_file(self, path: str, directory: int, name: str) -> None:
        first, whole = self._piece(path, 0)  # before there is a file here: it may not be readable
        self._check_room(path, max(whole, len(first)), directory)
        with _written(name, directory) as file:
            done, piece = 0, first
            while piece:
                done += len(piece)
                self._count(path, len(piece))
                file.write(piece)
                self._progress.tell(path, done, whole)
                if whole and done >= whole:
                    break
                piece, _ = self._piece(path, done)
        self.copied += 1

    def _piece(self, path: str, offset: int) -> tuple[bytes, int]:
        """Bytes from there on, and how many the file has, if it says so."""
        reply = self._client.read_file(
            path, offset=offset, limit=READ, encoding="base64", agent=self._agent
        )
        return base64.b64decode(reply["content"]), reply["size"]

    def _check_room(self, path: str, more: int, directory: int) -> None:
        """@raise LimitExceeded: the bounds or the disk have no room for a file."""
        if self.size + more > self._bounds.size:
            self._refuse(path, more)
        disk = os.fstatvfs(directory)
        free = disk.f_bavail * disk.f_frsize
        if more > free:
            raise _TooMuch(
                f"{path!r} has {size(more)}, and {size(free)} are free here", hint="make room first"
            )

    def _count(self, path: str, more: int) -> None:
        if self.size + more > self._bounds.size:
            self._refuse(path, more)
        self.size += more

    def _refuse(self, path: str, more: int) -> None:
        most = size(self._bounds.size)
        so_far = f"after {size(self.size)}, {size(more)} more of {path!r}"
        raise _TooMuch(f"{so_far} would be over {most}", hint="--max-size allows more")

    # to the agent

    def send(self, directory: int, name: str, path: str, depth: int = 0) -> None:
        """Copy a file or directory of ours to a path of the agent's.

        A link that was named is followed; those within a directory are left out.
        """
        found = os.stat(name, dir_fd=directory, follow_symlinks=depth == 0)
        if stat.S_ISDIR(found.st_mode):
            if depth >= DEEPEST:
                raise LimitExceeded(f"{path!r}: more than {DEEPEST} directories within each other")
            self._client.make_directory(path, parents=True, agent=self._agent)
            with _opened(name, directory, follow=depth == 0) as inner:
                for entry in sorted(os.listdir(inner)):
                    self.send(inner, entry, f"{path.rstrip('/')}/{entry}", depth + 1)
        elif stat.S_ISREG(found.st_mode):
            self._send_file(directory, name, path, follow=depth == 0)
        else:
            self._leave_out(name, "no file or directory")

    def _send_file(self, directory: int, name: str, path: str, *, follow: bool) -> None:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
        with open(os.open(name, flags, dir_fd=directory), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidRequest(f"{name!r} is no file any more")
            mode = "write"
            while True:
                piece = file.read(WRITE)
                if not piece and mode == "append":
                    break
                content = base64.b64encode(piece).decode()
                try:
                    self._client.write_file(
                        path, content, mode=mode, encoding="base64", agent=self._agent
                    )
                except CloveError as error:
                    if mode == "append":
                        error.message += _half(file.tell() - len(piece))
                    raise
                self.size += len(piece)
                mode = "append"
                self._progress.tell(path, file.tell(), os.fstat(file.fileno()).st_size)
        self.copied += 1

    def finish(self) -> None:
        """No more will be copied."""
        self._progress.clear()

    def _leave_out(self, path: str, why: str) -> None:
        self.left_out += 1
        self._progress.clear()
        self._console.remark(f"left out {path}: {why}")


def _half(written: int) -> str:
    """What is left of a file whose copy ended in the middle; it may have been there before, so it stays."""
    return f"; its first {size(written)} are there, and perhaps some more"


@contextlib.contextmanager
def _opened(name: str, directory: int, *, follow: bool = False) -> Iterator[int]:
    """A directory in another one.

    @raise OSError: it is none, or a link (unless C{follow}).
    """
    flags = _DIRECTORY & ~os.O_NOFOLLOW if follow else _DIRECTORY
    opened = os.open(name, flags, dir_fd=directory)
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def _written(name: str, directory: int) -> Iterator[BinaryIO]:
    """A file of ours, emptied, to be written; one that was not there is removed if that fails.

    @raise InvalidRequest: something else than a file is there.
    """
    made = True
    try:
        opened = os.open(name, _NEW | os.O_EXCL, 0o666, dir_fd=directory)
    except FileExistsError:
        made = False
        opened = os.open(name, _NEW, 0o666, dir_fd=directory)
    try:
        with open(opened, "wb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise InvalidRequest(f"{name!r} is there already, and is no file")
            file.truncate(0)
            yield file
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=directory)
        raise
