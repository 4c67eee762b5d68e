"""A daemon of this user in the background: a service of systemd --user, or else a process of its own session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, TypeVar

from clove.errors import InvalidRequest, TimedOut, Unavailable

__all__ = ["Daemon", "has_user_systemd"]

LAST: Final = 2000
"""Bytes of the log that are shown when it does not start."""
LOOK_EACH: Final = 0.05
"""Seconds between two looks whether it serves."""
ASK_EACH: Final = 1.0
"""Seconds between questions how its service is."""
REMARK: Final = "#info]"
"""In each line that twistd logs of what is no error."""
T = TypeVar("T")
_SERVICE: Final = ("Type=notify", "WatchdogSec=60", "Restart=on-failure")


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


@dataclass(frozen=True)
class Daemon:
    """How a daemon is started in the background, and what is known of it when it does not start.

    @ivar kind: C{kernel}; its unit and twistd's word for it are C{clove-kernel}.
    @ivar command: that starts it, as it is typed.
    @ivar properties: of its transient service, beside those that all have.
    @ivar shows_secrets: on its standard output, which then goes nowhere; twistd writes the log itself.
    """

    kind: str
    command: str
    properties: tuple[str, ...] = ()
    shows_secrets: bool = False
    _begun: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def unit(self) -> str:
        """Of systemd, without C{.service}."""
        return f"clove-{self.kind}"

    def log_path(self, state_dir: str) -> str:
        """Where the log of a process goes; a service's is in the journal."""
        return os.path.join(state_dir, f"{self.kind}.log")

    def log_hint(self, process: subprocess.Popen[bytes] | None, state_dir: str) -> str:
        """Where its log is, for an error."""
        if process is None:
            return f"its log: journalctl --user -u {self.unit}"
        return f"its log is {self.log_path(state_dir)}"

    def start(
        self, options: list[str], state_dir: str, *, systemd: bool
    ) -> subprocess.Popen[bytes] | None:
        """Start it; returns before it serves.

        @param options: of its subcommand of twistd.
        @param state_dir: where the log of a process goes.
        @return: the process; None if systemd has it.
        @raise Unavailable: it cannot be started.
        @raise InvalidRequest: its installed service has other options.
        """
        twistd = str(Path(sys.executable).with_name("twistd"))
        command = [twistd, "-n", "--pidfile=", self.unit, *options]
        if systemd:
            command.insert(3, f"--logger=clove.systemd.journal.{self.kind}")
            self._start_unit(command, bool(options))
            return None
        path = self.log_path(state_dir)
        if self.shows_secrets:
            command[3:3] = ["--logfile", path]
        try:
            with _open_log(path) as log:
                self._begun[path] = os.fstat(log.fileno()).st_size
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL if self.shows_secrets else log,
                    stderr=log,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            text = f"the {self.kind} cannot be started: {error.strerror}{where}"
            raise Unavailable(text) from None

    def wait_until_up(
        self,
        find: Callable[[], T | None],
        process: subprocess.Popen[bytes] | None,
        state_dir: str,
        seconds: float,
    ) -> T:
        """Wait until it serves.

        @param find: what is known of it; None: it does not serve yet.
        @param process: that was started; None if systemd has it.
        @raise Unavailable: it ended before. @raise TimedOut: it took too long.
        """
        deadline = time.monotonic() + seconds
        asked = time.monotonic()
        while time.monotonic() < deadline:
            found = find()
            if found is not None:
                return found
            if process is not None or time.monotonic() > asked + ASK_EACH:
                self.check(process, state_dir)
                asked = time.monotonic()
            time.sleep(LOOK_EACH)
        hint = self.log_hint(process, state_dir)
        raise TimedOut(f"the {self.kind} does not serve after {seconds:g} s", hint=hint)

    def check(self, process: subprocess.Popen[bytes] | None, state_dir: str) -> None:
        """Look whether it has ended, before it served.

        @raise Unavailable: so it has, and would again: a service is not left to try.
        """
        if process is None:
            self._check_unit()
        elif process.poll() is not None:
            raise Unavailable(
                f"the {self.kind} ended with {process.returncode}: {self._last_words(state_dir)}",
                hint=self.log_hint(process, state_dir),
            )

    def _start_unit(self, command: list[str], has_options: bool) -> None:
        """As the installed service, else as a transient one."""
        if self._show("ActiveState").get("ActiveState") in ("active", "activating", "reloading"):
            return  # another has just started it
        words = ["systemctl", "--user", "--no-block", "start", f"{self.unit}.service"]
        if not self._is_installed():
            properties = [f"--property={each}" for each in (*_SERVICE, *self.properties)]
            words = ["systemd-run", "--user", "--no-block", f"--unit={self.unit}", "--collect"]
            words += ["--quiet", *properties, *command]
        elif has_options:
            raise InvalidRequest(
                f"the installed service {self.unit} has options of its own",
                hint=f"systemctl --user edit {self.unit} changes them; "
                f"{self.command} --no-systemd starts it without",
            )
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(
                f"systemd does not start the {self.kind}: {done.stderr.strip() or done.returncode}",
                hint=f"{self.command} --no-systemd starts it without",
            )

    def _is_installed(self) -> bool:
        """Does the user have a unit file for it (docs/systemd.md)?"""
        path = self._show("FragmentPath").get("FragmentPath", "")
        return bool(path) and "/transient/" not in path

    def _check_unit(self) -> None:
        facts = self._show("ActiveState,NRestarts,Job")
        if facts.get("ActiveState", "active") in ("failed", "inactive", "deactivating"):
            waits = facts.get("Job", "0") not in ("0", "")  # for an earlier one to end
            if waits or facts.get("ActiveState") == "deactivating":
                return
        elif facts.get("NRestarts", "0") in ("0", ""):
            return
        _output("systemctl", "--user", "stop", self.unit)
        own = f"_SYSTEMD_USER_UNIT={self.unit}.service"  # what it has said itself, and not systemd of it
        log = _output("journalctl", "--user", own, "-n", "8", "-o", "cat", "--no-pager")
        text = self._reason(log.strip().splitlines()) or "it says nothing"
        raise Unavailable(f"the {self.kind} ended: {text}", hint=self.log_hint(None, ""))

    def _show(self, properties: str) -> dict[str, str]:
        shown = _output("systemctl", "--user", "show", f"--property={properties}", self.unit)
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def _last_words(self, state_dir: str) -> str:
        """The end of what this start has added to the log, without the remarks that every start begins with."""
        path = self.log_path(state_dir)
        try:
            data = Path(path).read_bytes()
        except OSError:
            return ""
        added = data[self._begun.get(path, 0) :][-LAST:].decode(errors="replace")
        lines = [line for line in added.splitlines() if REMARK not in line]
        return self._reason(lines or added.splitlines())

    def _reason(self, lines: list[str]) -> str:
        """Why it ended: what it has said as its last word on a command line, else all that it has logged."""
        _, said, reason = (lines or [""])[-1].partition(f"{self.unit}: ")
        return reason if said else "\n".join(lines).strip()


def _output(*command: str) -> str:
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


def _open_log(path: str) -> IO[bytes]:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o600), "ab")
