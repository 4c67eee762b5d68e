"""Files between this machine and an agent's view, piece by piece.

An agent may change its files while they are copied, and chooses their names. So a name that comes
from it is one component and nothing else; here everything is opened below the directory that the
user named, by descriptors, without following a link that lies there; and what is no file,
directory or link is left out.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from clove.cli.ls import entries_of
from clove.errors import CloveError, InvalidRequest, LimitExceeded

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.client.blocking import CloveClient

__all__ = ["Transfer", "pieces_of"]

READ: Final = 4 << 20
"""Bytes asked for at a time; the reply is a third longer, as base64."""
WRITE: Final = 512 << 10
"""Bytes sent at a time: a request has 1 MiB."""
DEEPEST: Final = 128
"""Directories within each other."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


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

    @ivar copied: files so far.
    @ivar size: bytes so far.
    @ivar left_out: what was not copied.
    """

    def __init__(self, console: Console, client: CloveClient, agent: str | int) -> None:
        self._console = console
        self._client = client
        self._agent = agent
        self.copied = 0
        self.size = 0
        self.left_out = 0

    # from the agent

    def fetch(self, path: str, kind: str, directory: int, name: str, depth: int = 0) -> None:
        """Copy a file or directory of the agent's into a directory of ours.

        @param directory: descriptor of ours; C{name} is a name in it.
        @raise InvalidRequest: the name is none.
        """
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
                except CloveError as error:
                    self._leave_out(below, error.message)

    def _fetch_file(self, path: str, directory: int, name: str) -> None:
        pieces = pieces_of(self._client, self._agent, path)
        first = next(pieces, b"")  # before there is a file here: it may not be readable
        opened = os.open(name, _NEW, 0o666, dir_fd=directory)
        with open(opened, "wb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise InvalidRequest(f"{name!r} is there already, and is no file")
            file.truncate(0)
            for piece in itertools.chain((first,), pieces):
                file.write(piece)
                self.size += len(piece)
        self.copied += 1

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
                self._client.write_file(
                    path, content, mode=mode, encoding="base64", agent=self._agent
                )
                self.size += len(piece)
                mode = "append"
        self.copied += 1

    def _leave_out(self, path: str, why: str) -> None:
        self.left_out += 1
        self._console.remark(f"left out {path}: {why}")


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
