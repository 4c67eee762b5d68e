"""Daemons for tests, which start in a tenth of a second: forked from a process that has imported their modules.

Those imports are most of a start's processor time, and the suite starts some hundred daemons. What a daemon does
after them is what it always does. One that is started by another command, or with variables of its own, is executed;
and so are all with C{CLOVE_TEST_EXECUTE=1}, and where a process has no descriptor by which its end is seen.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

__all__ = ["EXECUTE", "Process", "children", "start_daemon"]


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


EXECUTE = "CLOVE_TEST_EXECUTE" in os.environ or not _has_pidfd()
"""Whether all daemons are executed."""
TEMPLATE = str(Path(__file__).with_name("daemon_template.py"))
MOST = 1 << 18


class Process(Protocol):
    """What tests use of L{subprocess.Popen}."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...


class _Forked:
    """A daemon that a template has forked."""

    def __init__(self, template: _Template, pid: int, words: Sequence[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._template = template
        self._words = words
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self._ended(0)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            ending = select.poll()
            ending.register(self._handle, select.POLLIN)
            if ending.poll(None if timeout is None else timeout * 1000):
                self.returncode = self._template.ask({"wait": self.pid})
                os.close(self._handle)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._words, timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Template:
    """A process that forks daemons.

    @param python: a command that runs Python; as another user, say.
    @param environ: what it has, of which Python reads its own.
    """

    def __init__(self, daemon: str, python: Sequence[str], environ: Mapping[str, str]) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [*python, "-P", TEMPLATE, str(number), daemon],
                stdin=subprocess.DEVNULL,
                pass_fds=[number],
                cwd="/",
                env=dict(environ),
            )

    def start(
        self, words: Sequence[str], cwd: str, environ: Mapping[str, str], streams: list[int]
    ) -> _Forked:
        asked = {"words": words, "cwd": cwd, "environ": dict(environ)}
        return _Forked(self, self.ask(asked, streams), words)

    def ask(self, asked: object, streams: Sequence[int] = ()) -> int:
        socket.send_fds(self._requests, [json.dumps(asked).encode()], streams)
        answer: int = json.loads(self._requests.recv(MOST))
        return answer

    def end(self) -> None:
        self._requests.close()
        self.process.wait()


_templates: dict[tuple[object, ...], _Template] = {}


def start_daemon(
    command: Sequence[str],
    *,
    cwd: str,
    environ: Mapping[str, str],
    output: IO[bytes],
    python: Sequence[str] = (),
) -> Process:
    """Start a daemon without input.

    @param command: that executes it; twistd's arguments begin with C{-n}.
    @param python: the part of it that runs Python, if a daemon that is forked will do.
    """
    if EXECUTE or not python:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=dict(environ),
        )
    words = ["twistd", *command[command.index("-n") :]]
    daemon = next(word for word in words if word in ("clove-kernel", "clove-relay"))
    read = {name: value for name, value in environ.items() if name.startswith("PYTHON")}
    key = (daemon, *python, *sorted(read.items()))
    if key not in _templates:
        _templates[key] = _Template(daemon, python, environ)
    with open(os.devnull, "rb") as nothing:
        streams = [nothing.fileno(), output.fileno(), output.fileno()]
        return _templates[key].start(words, cwd, environ, streams)


def children() -> set[int]:
    """Children of this process and of its templates, but for these."""
    ours = {os.getpid(), *(template.process.pid for template in _templates.values())}
    return {pid for parent in ours for pid in _children(parent)} - ours


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return []


@atexit.register
def _end() -> None:
    for template in _templates.values():
        template.end()
