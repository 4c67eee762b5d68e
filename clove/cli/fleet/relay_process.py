"""The relay of this user, as `clove relay up` starts it and `clove relay down` ends it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import Final

from clove.cli.background import Daemon
from clove.errors import NotFound, PermissionDenied, TimedOut
from clove.relay.state_dir import RunningRelay, find_running_relay

__all__ = ["RELAY", "stop", "wait_until_up"]

RELAY: Final = Daemon("relay", "clove relay up", shows_secrets=True)
"""Its standard output would have the first token."""
ASK_EACH: Final = 1.0
"""Seconds between questions how the service is."""


def wait_until_up(
    process: subprocess.Popen[bytes] | None, state_dir: str, seconds: float
) -> RunningRelay:
    """Wait until it serves.

    @raise Unavailable: it ended before. @raise TimedOut: it took too long.
    """
    deadline = time.monotonic() + seconds
    asked = time.monotonic()
    while time.monotonic() < deadline:
        found = find_running_relay(state_dir)
        if found is not None:
            return found
        if process is not None or time.monotonic() > asked + ASK_EACH:
            RELAY.check(process, state_dir)
            asked = time.monotonic()
        time.sleep(0.05)
    hint = RELAY.log_hint(process, state_dir)
    raise TimedOut(f"no relay serves from {state_dir} after {seconds:g} s", hint=hint)


def stop(running: RunningRelay, state_dir: str, seconds: float) -> None:
    """End a relay by SIGTERM, and wait until it is gone.

    @raise TimedOut: it still runs. @raise NotFound: it has just ended. @raise PermissionDenied: it is another user's.
    """
    try:
        handle = os.pidfd_open(running.pid)
    except (ProcessLookupError, OverflowError):
        raise NotFound("the relay has just ended") from None
    try:
        if find_running_relay(state_dir) != running:  # the number may have been another's by now
            raise NotFound("the relay has just ended, or another one was started")
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
