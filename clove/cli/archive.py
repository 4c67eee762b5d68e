"""A directory as an archive, to be sent to a machine: its files, directories and the links between them."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import Final

from clove.errors import InvalidRequest

__all__ = ["LEFT_OUT", "pack_directory", "pack_script"]

LEFT_OUT: Final = frozenset({".git", ".hg", ".venv", "__pycache__", "node_modules"})
"""Directories of these names do not come along."""
MOST: Final = 11 << 20
"""Bytes of an archive: what a relay takes in one request."""
MOST_UNPACKED: Final = 1 << 30
_LEVEL: Final = 6


def pack_directory(directory: str) -> bytes:
    """The same bytes for the same files, so that a repeated call is one.

    @raise InvalidRequest: it holds a link that leads out of it, a device or the like, or too much.
    """
    packed = _Archive(directory)
    for name in sorted(_names(directory)):
        packed.add(os.path.join(directory, name), name)
    return packed.finish()


def pack_script(script: str) -> bytes:
    """A script alone."""
    packed = _Archive(script)
    packed.add(os.path.realpath(script), os.path.basename(script))
    return packed.finish()


class _Archive:
    """One that is being made."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._raw = io.BytesIO()
        self._packed = gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0)
        self._tar = tarfile.open(fileobj=self._packed, mode="w")  # noqa: SIM115 closed by finish
        self._unpacked = 0

    def add(self, path: str, name: str) -> None:
        """Add one file, directory or link; never what a link leads to."""
        member = self._tar.gettarinfo(path, name)
        if member is None or not (
            member.isreg() or member.isdir() or member.issym() or member.islnk()
        ):
            raise InvalidRequest(f"{path} is no file, directory or link", hint="leave it out")
        if member.issym() and _leads_out(name, member.linkname):
            raise InvalidRequest(
                f"the link {path} leads out of {self._shown}", hint="leave it out, or copy the file"
            )
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = int(member.mtime)
        if member.islnk():  # a second name of a file: sent again
            member.type, member.linkname = tarfile.REGTYPE, ""
            member.size = os.lstat(path).st_size
        self._unpacked += member.size
        if member.isreg():
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise InvalidRequest(f"{path} is no file any more", hint="try again")
                self._check()
                self._tar.addfile(member, file)
        else:
            self._tar.addfile(member)
        self._check()

    def _check(self) -> None:
        if self._unpacked > MOST_UNPACKED or self._raw.tell() > MOST:
            raise InvalidRequest(
                f"{self._shown} is more than {MOST >> 20} MiB, compressed",
                hint="send a directory with what the program needs alone",
            )

    def finish(self) -> bytes:
        """All of it."""
        self._tar.close()
        self._packed.close()
        self._check()
        return self._raw.getvalue()


def _names(directory: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise InvalidRequest(f"cannot read {error.filename}: {error.strerror}")

    for where, directories, files in os.walk(directory, onerror=fail):
        directories[:] = [name for name in directories if name not in LEFT_OUT]
        for name in (*directories, *files):
            yield os.path.relpath(os.path.join(where, name), directory)


def _leads_out(name: str, target: str) -> bool:
    whole = os.path.normpath(os.path.join(os.path.dirname(name), target))
    return os.path.isabs(target) or whole.split("/")[0] == ".."
