"""The kernel of this user, as `clove up` starts it and `clove down` ends it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final, NamedTuple

from clove.errors import CloveError, NotFound, PermissionDenied, TimedOut, Unavailable

__all__ = [
    "UNIT",
    "Running",
    "find_running",
    "has_user_systemd",
    "start",
    "stop",
    "wait_until_up",
]

UNIT: Final = "clove-kernel"
LOG: Final = "kernel.log"
LAST: Final = 2000
"""Bytes of the log that are shown when it does not start."""
ASK_EACH: Final = 1.0
"""Seconds between questions how the service is."""
_CREDENTIALS = struct.Struct("3i")


class Running(NamedTuple):
    """A kernel that listens.

    @ivar pid: as this process sees it.
    """

    pid: int
    socket: str


def find_running(paths: tuple[str, ...]) -> Running | None:
    """The kernel that listens at the first of these sockets where one does.

    @raise PermissionDenied: it is another user's.
    """
    for path in paths:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(2)
            try:
                probe.connect(path)
            except OSError:
                continue
            found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(found)
        if uid != os.geteuid():
            raise PermissionDenied(
                f"the kernel at {path} is that of user {uid}",
                rule="server-uid",
                hint="clove up --socket PATH starts your own beside it",
            )
        return Running(pid, path)
    return None


def has_user_systemd() -> bool:
    """Does this user have a systemd of its own that starts services?"""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not shutil.which("systemd-run"):
        return False
    try:
        asked = subprocess.run(
            [systemctl, "--user", "show", "--property=Version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def start(options: list[str], state_dir: str, *, systemd: bool) -> subprocess.Popen[bytes] | None:
    """Start a kernel in the background.

    @param options: of `twistd clove-kernel`.
    @param state_dir: where its log goes.
    @return: the process; None if systemd has it.
    @raise Unavailable: it cannot be started.
    """
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [twistd, "-n", "--pidfile=", "clove-kernel", *options]
    if systemd:
        _start_unit(command)
        return None
    try:
        with _open_log(state_dir) as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        raise Unavailable(f"the kernel cannot be started: {error}") from None


def _start_unit(command: list[str]) -> None:
    """As a transient service; Delegate gives it cgroups of its own to make."""
    properties = ("Delegate=yes", "Restart=on-failure", "KillMode=mixed", "OOMPolicy=continue")
    words = ["systemd-run", "--user", f"--unit={UNIT}", "--collect", "--quiet"]
    words += [f"--property={each}" for each in properties]
    done = subprocess.run(
        [*words, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable(
            f"systemd does not start the kernel: {done.stderr.strip() or done.returncode}",
            hint="clove up --no-systemd starts it without",
        )


def _check_unit() -> None:
    """@raise Unavailable: the service has failed, and would again: it is not left to try."""
    shown = _said("systemctl", "--user", "show", "--property=ActiveState,NRestarts", UNIT)
    facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if facts.get("ActiveState", "active") not in ("failed", "inactive") and facts.get(
        "NRestarts", "0"
    ) in ("0", ""):
        return
    _said("systemctl", "--user", "stop", UNIT)
    own = f"_SYSTEMD_USER_UNIT={UNIT}.service"  # what it has said itself, and not systemd of it
    log = _said("journalctl", "--user", own, "-n", "8", "-o", "cat", "--no-pager")
    text = log.strip() or "it says nothing"
    raise Unavailable(f"the kernel ended: {text}", hint=f"its log: journalctl --user -u {UNIT}")


def _said(*command: str) -> str:
    """What a program of systemd prints; nothing if it cannot be asked."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _open_log(state_dir: str) -> IO[bytes]:
    os.makedirs(state_dir, mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(os.path.join(state_dir, LOG), flags, 0o600), "ab")


def _last_words(state_dir: str) -> str:
    """The end of the log."""
    try:
        data = Path(state_dir, LOG).read_bytes()
    except OSError:
        return ""
    return data[-LAST:].decode(errors="replace")


def wait_until_up(
    paths: tuple[str, ...], process: subprocess.Popen[bytes] | None, state_dir: str, seconds: float
) -> Running:
    """Wait until a kernel listens.

    @raise Unavailable: it ended before. @raise TimedOut: it took too long.
    """
    deadline = time.monotonic() + seconds
    asked = time.monotonic()
    while time.monotonic() < deadline:
        found = find_running(paths)
        if found is not None:
            return found
        if process is None and time.monotonic() > asked + ASK_EACH:
            _check_unit()
            asked = time.monotonic()
        if process is not None and process.poll() is not None:
            raise Unavailable(
                f"the kernel ended with {process.returncode}: {_last_words(state_dir).strip()}",
                hint=f"its log is {os.path.join(state_dir, LOG)}",
            )
        time.sleep(0.05)
    hint = f"journalctl --user -u {UNIT}" if process is None else os.path.join(state_dir, LOG)
    raise TimedOut(f"no kernel answers after {seconds:g} s", hint=f"its log: {hint}")


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
