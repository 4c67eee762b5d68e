"""The kernel of this user, as `clove up` starts it and `clove down` ends it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Final, NamedTuple

from clove.cli.background import Daemon
from clove.errors import CloveError, NotFound, PermissionDenied, TimedOut

__all__ = [
    "KERNEL",
    "Running",
    "find_running",
    "stop",
]

KERNEL: Final = Daemon(
    "kernel", "clove up", ("Delegate=yes", "KillMode=mixed", "OOMPolicy=continue")
)
"""Delegate gives its service cgroups of its own to make."""
ACTIVATION: Final = 30.0
"""Seconds that a kernel has to start where systemd listens for it."""
_CREDENTIALS = struct.Struct("3i")


class Running(NamedTuple):
    """A kernel that listens.

    @ivar pid: as this process sees it.
    """

    pid: int
    socket: str


def find_running(paths: tuple[str, ...]) -> Running | None:
    """The kernel that listens at the first of these sockets where one does.

    Where systemd listens for it (clove-kernel.socket), this starts it, and waits until it listens itself.

    @raise PermissionDenied: it is another user's.
    @raise TimedOut: systemd listens for it, and it does not start.
    """
    for path in paths:
        deadline = time.monotonic() + ACTIVATION
        while (found := _listener(path)) is not None:
            if not _is_service_manager(found.pid):
                return found
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"systemd listens on {path}, and no kernel starts there",
                    hint=f"systemctl status {KERNEL.unit}.service, with --user for your own",
                )
            time.sleep(0.1)
    return None


def _listener(path: str) -> Running | None:
    """The process that listens at a path."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(2)
        try:
            probe.connect(path)
        except OSError:
            return None
        found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    if uid != os.geteuid():
        raise PermissionDenied(
            f"the kernel at {path} is that of user {uid}",
            rule="server-uid",
            hint="clove up --socket PATH starts your own beside it",
        )
    return Running(pid, path)


def _is_service_manager(pid: int) -> bool:
    """Whether it is systemd that listens still: it must not be taken for the kernel, and be ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "systemd\n"
    except OSError:
        return False


def stop(running: Running, paths: tuple[str, ...], seconds: float) -> None:
    """End a kernel by SIGTERM, and wait until it is gone.

    @raise TimedOut: it still runs. @raise NotFound: it has just ended.
    @raise CloveError: it is another's.
    """
    if running.pid <= 0:
        raise CloveError("the kernel runs in another pid namespace: end it there")
    try:
        handle = os.pidfd_open(running.pid)
    except ProcessLookupError:
        raise NotFound("the kernel has just ended") from None
    try:
        if find_running(paths) != running:  # the number may have been another's by now
            raise NotFound("the kernel has just ended, or another one was started")
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], seconds)[0]:
            raise TimedOut(
                f"the kernel (pid {running.pid}) still runs after {seconds:g} s",
                hint="it ends its agents first; --timeout waits longer",
            )
    finally:
        os.close(handle)
