"""Virtual environments of `clove run --requirements`: where they lie, and which are whole::

    $XDG_CACHE_HOME/clove/environments/     0700, this user's
        KEY.lock        flock(2): shared while it is used, exclusive while it is built or removed
        KEY.json        the record of one that is whole; its time of change says when it was used last
        KEY.kernels     sockets of kernels that built it, or had agents in it
        KEY-XXXXXXXX/   the environment; without a record that names it, what a broken build has left

An environment never moves, since its scripts name their interpreter; the record appears, all at once,
when it is whole. docs/requirements.md has the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from clove.errors import PermissionDenied, Unavailable
from clove.regular import read_regular, write_whole
from clove.removal import remove_tree

__all__ = ["Entry", "EnvironmentCache", "Lock", "identity_of"]

RECORD_BYTES: Final = 1 << 16
_KEY: Final = re.compile(r"[0-9a-f]{32}")


def identity_of(python: str) -> list[Any]:
    """What changes when an interpreter does. Not run here: it may be an agent's work."""
    facts = os.stat(python)
    return [os.path.realpath(python), facts.st_size, facts.st_mtime_ns]


class Entry(NamedTuple):
    """An environment that is whole.

    @ivar used: seconds since the epoch, when it was used last.
    @ivar record: what was written down about it: requirements, python, size, files, created.
    """

    key: str
    path: str
    used: float
    record: Mapping[str, Any]

    @property
    def stale(self) -> bool:
        """Its interpreter is another one now, so no run asks for it any more."""
        try:
            return bool(identity_of(self.record["python"][0]) != self.record["python"])
        except (OSError, KeyError, IndexError, TypeError):
            return True


class Lock:
    """A lock file, held by its descriptor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = -1

    def take(self, kind: int) -> bool:
        """Lock it, or change how it is locked.

        @param kind: of flock(2).
        @return: False: others have it (with LOCK_NB).
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            if self.descriptor < 0:
                self.descriptor = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(self.descriptor, kind)
            except BlockingIOError:
                return False
            if self._is_there():
                return True
            self.close()  # its holder has removed the file

    def _is_there(self) -> bool:
        mine = os.fstat(self.descriptor)
        try:
            theirs = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)

    def remove(self) -> None:
        """Remove its file; it is held, exclusively."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class EnvironmentCache:
    """The environments of this user.

    @ivar directory: where they are; without links.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        base = environ.get("XDG_CACHE_HOME", "")
        whole = Path(base if base.startswith("/") else "~/.cache").expanduser()
        self.directory = Path(os.path.realpath(whole)) / "clove/environments"

    def prepare(self) -> None:
        """Make the directory.

        @raise Unavailable: it cannot be made.
        @raise PermissionDenied: others may write there, or it is another user's.
        """
        try:
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.directory.mkdir(mode=0o700)
            facts = self.directory.lstat()
        except OSError as error:
            raise Unavailable(f"cache {self.directory}: {error.strerror}") from None
        private = stat.S_ISDIR(facts.st_mode) and not facts.st_mode & 0o077
        if facts.st_uid != os.geteuid() or not private:
            raise PermissionDenied(
                f"cache {self.directory}: it is not yours alone",
                rule="cache-mode",
                hint="remove it, or name another place in XDG_CACHE_HOME",
            )

    def lock(self, key: str) -> Lock:
        """The lock of one, not taken yet."""
        return Lock(self.directory / f"{key}.lock")

    def find(self, key: str) -> Entry | None:
        """One that is whole."""
        path = self.directory / f"{key}.json"
        try:
            record = json.loads(read_regular(str(path), RECORD_BYTES))
            used = path.stat().st_mtime
            name = record["directory"]
            if not isinstance(name, str) or not re.fullmatch(rf"{key}-[A-Za-z0-9_]+", name):
                return None
            whole = self.directory / name
            if not stat.S_ISDIR(whole.lstat().st_mode):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Entry(key, str(whole), used, record)

    def entries(self) -> list[Entry]:
        """All that are whole, the one that was used last at the end."""
        keys = [path.stem for path in self._files("*.json")]
        found = [self.find(key) for key in keys if _KEY.fullmatch(key)]
        return sorted((one for one in found if one is not None), key=lambda one: one.used)

    def left(self) -> list[str]:
        """Directories that no record names, by their paths."""
        whole = {entry.path for entry in self.entries()}
        return sorted(
            str(path)
            for path in self._files("*-*")
            if _KEY.fullmatch(path.name.partition("-")[0]) and str(path) not in whole
        )

    def _files(self, pattern: str) -> list[Path]:
        try:
            return list(self.directory.glob(pattern))
        except OSError:
            return []

    def begin(self, key: str) -> str:
        """A new, empty directory for one. Its lock is held."""
        return tempfile.mkdtemp(prefix=f"{key}-", dir=self.directory)

    def complete(self, key: str, path: str, record: Mapping[str, Any]) -> Entry:
        """Say that one is whole. Its lock is held."""
        text = json.dumps({**record, "directory": os.path.basename(path)})
        write_whole(self.directory / f"{key}.json", text.encode())
        found = self.find(key)
        assert found is not None
        return found

    def note_kernel(self, key: str, socket: str) -> None:
        """Say that agents of the kernel at this socket build or use one. Its lock is held."""
        if socket not in self.kernels(key):
            with open(self.directory / f"{key}.kernels", "a", encoding="utf-8") as file:
                file.write(f"{socket}\n")

    def note_use(self, key: str) -> None:
        """Say that one is used now. Its lock is held."""
        os.utime(self.directory / f"{key}.json")

    def kernels(self, key: str) -> list[str]:
        """Sockets of the kernels that built it, or had agents in it."""
        try:
            text = read_regular(str(self.directory / f"{key}.kernels"), RECORD_BYTES)
        except OSError:
            return []
        return list(dict.fromkeys(text.decode("utf-8", "surrogateescape").splitlines()))

    def remove(self, key: str, path: str) -> None:
        """Remove one: first its record, so that none is found that is not whole. Its lock is held.

        @raise OSError: something of it stays.
        """
        found = self.find(key)
        if found is not None and found.path == path:
            (self.directory / f"{key}.json").unlink(missing_ok=True)
            (self.directory / f"{key}.kernels").unlink(missing_ok=True)
        remove_tree(path)
