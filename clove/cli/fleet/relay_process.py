"""The relay of this user, as `clove relay up` starts it and `clove relay down` ends it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final

from clove.cli.background import Daemon
from clove.errors import NotFound, PermissionDenied, TimedOut
from clove.relay.state_dir import RunningRelay, find_running_relay

__all__ = ["RELAY", "stop"]

RELAY: Final = Daemon("relay", "clove relay up", shows_secrets=True)
"""Its standard output would have the first token."""


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
