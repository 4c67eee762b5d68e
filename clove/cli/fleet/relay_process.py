"""The relay of this user, as `clove relay up` starts it and `clove relay down` ends it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path
from typing import Final

from clove.cli.background import Daemon
from clove.errors import NotFound, PermissionDenied, TimedOut
from clove.relay.state_dir import RunningRelay, find_running_relay

__all__ = ["RELAY", "stop"]

RELAY: Final = Daemon("relay", "clove relay up", shows_secrets=True)
"""Its standard output would have the first token."""


def stop(running: RunningRelay, state_dir: str, seconds: float) -> None:
    """End a relay by SIGTERM, and wait until it is gone.

    @raise TimedOut: it still runs. @raise NotFound: it has just ended. @raise PermissionDenied: it is another user's,
    or not that of the directory's user.
    """
    try:
        handle = os.pidfd_open(running.pid)
    except (ProcessLookupError, OverflowError):
        raise NotFound("the relay has just ended") from None
    try:
        if find_running_relay(state_dir) != running:  # the number may have been another's by now
            raise NotFound("the relay has just ended, or another one was started")
        _check_user(running.pid, state_dir)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], seconds)[0]:
            raise TimedOut(
                f"the relay (pid {running.pid}) still runs after {seconds:g} s",
                hint="it waits for machines to leave; --timeout waits longer",
            )
    except PermissionError:
        raise PermissionDenied(
            f"the relay (pid {running.pid}) is another user's",
            rule="relay-uid",
            hint="systemctl stop clove-relay, if it is the system's",
        ) from None
    finally:
        os.close(handle)


def _check_user(pid: int, state_dir: str) -> None:
    """The number is the word of the directory's user: it must be none that has root end another user's process.

    @raise PermissionDenied: the process is not that user's.
    @raise NotFound: it is gone.
    """
    owner = os.stat(state_dir).st_uid
    try:
        status = Path(f"/proc/{pid}/status").read_text()  # /proc/PID itself is root's for some
    except OSError:
        raise NotFound("the relay has just ended") from None
    users = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
    if users[0] != str(owner):
        raise PermissionDenied(
            f"{state_dir} says that its relay is pid {pid}, which is another user's",
            rule="relay-uid",
            hint="it was tampered with: look at what runs there, and end that itself",
        )
