"""The relay's own directory: its store, and a lock, so that one relay uses it. Blocking.

The file of the lock has who holds it, and where that is reached: what C{clove relay} asks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from typing import Final, NamedTuple

from clove.errors import Unavailable
from clove.regular import read_regular
from clove.socket_paths import default_state_dir

__all__ = ["RelayStateDir", "RunningRelay", "find_running_relay", "relay_state_dir"]

LOCK: Final = "relay.lock"
MOST: Final = 4096
"""Bytes of the lock's file."""


class RunningRelay(NamedTuple):
    """A relay that serves.

    @ivar pid: as it sees itself.
    @ivar rest: URL of its REST API, from this machine.
    @ivar hub: URL of its WebSockets, likewise.
    """

    pid: int
    rest: str
    hub: str


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
            lock = os.open(os.path.join(self.path, LOCK), flags, 0o600)
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
                hint="give this one its own --state-dir, or stop the other (clove relay down)",
            ) from None
        self._lock = lock
        os.ftruncate(lock, 0)  # of one that was killed

    def publish(self, relay: RunningRelay) -> None:
        """Say who has it, and where that serves.

        @raise OSError: it cannot be written.
        """
        os.pwrite(self._lock, json.dumps(relay._asdict()).encode(), 0)

    def release(self) -> None:
        """Let another relay use it. Idempotent."""
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)
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


def find_running_relay(directory: str) -> RunningRelay | None:
    """The relay that serves from a state directory; None: none does, or it has only begun to start.

    @raise Unavailable: it cannot be found out.
    """
    path = os.path.join(directory, LOCK)
    try:
        text = read_regular(path, MOST)
        if not text or not _is_locked(path):
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(
            f"cannot look into {directory}: {error.strerror}", hint="see --state-dir"
        ) from None
    try:
        found = RunningRelay(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        found = RunningRelay(0, "", "")
    texts = isinstance(found.rest, str) and isinstance(found.hub, str)
    if not isinstance(found.pid, int) or found.pid <= 0 or not texts:
        raise Unavailable(
            f"{path} does not say who holds it", hint="a relay of another version does"
        )
    return found


def _is_locked(path: str) -> bool:
    """Only asked where a relay has said that it serves: one that starts is not in its way."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return True
    finally:
        os.close(descriptor)
    return False
