"""The relay's own directory: its store, and a lock, so that one relay uses it. Blocking."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Mapping

from clove.errors import Unavailable
from clove.socket_paths import default_state_dir

__all__ = ["RelayStateDir", "relay_state_dir"]


def relay_state_dir(uid: int, environ: Mapping[str, str]) -> str:
    """Where it is if nothing else is said: beside a kernel's; "" if there is no home."""
    kernel = default_state_dir(uid, environ)
    return f"{kernel}-relay" if kernel else ""


class RelayStateDir:
    """A directory of mode 0700 that belongs to this user.

    @ivar path: absolute.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._lock = -1

    @property
    def store(self) -> str:
        """The store's file."""
        return os.path.join(self.path, "relay.sqlite")

    def claim(self) -> None:
        """Make the directory, or check that it is ours, and lock it.

        @raise Unavailable: it is another user's, or another relay uses it.
        """
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
            self._check()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(os.path.join(self.path, "relay.lock"), flags, 0o600)
        except OSError as error:
            raise Unavailable(
                f"cannot use {self.path}: {error.strerror}", hint="choose another --state-dir"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Unavailable(
                f"another relay uses {self.path}",
                hint="give this one its own --state-dir, or stop the other",
            ) from None
        self._lock = lock

    def release(self) -> None:
        """Let another relay use it. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check(self) -> None:
        facts = os.lstat(self.path)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            raise Unavailable(
                f"{self.path} is not a directory of the relay's own user",
                hint="choose another --state-dir",
            )
        if stat.S_IMODE(facts.st_mode) & 0o077:
            os.chmod(self.path, 0o700)
