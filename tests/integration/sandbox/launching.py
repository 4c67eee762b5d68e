"""What tests of the launcher have in common: specs, what a program writes, looks at processes."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from clove.sandbox.channel import ControlSocket
from clove.sandbox.interface import ExitStatus
from clove.sandbox.spec import NAMESPACES, Bind, SandboxSpec

__all__ = [
    "KILLED",
    "OUTSIDE_UID",
    "PATH",
    "Heard",
    "Spec",
    "holders_of",
    "inside",
    "no_descriptor_passes",
    "nothing_passes",
    "parent_of",
    "process_state",
    "reactor",
    "until",
]

reactor: Any = installed_reactor
OUTSIDE_UID = 231_072
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
KILLED = ExitStatus(signal=signal.SIGKILL)
Spec = Callable[..., SandboxSpec]


def inside(workspace: str, **fields: Any) -> SandboxSpec:
    return SandboxSpec(
        **{
            "namespaces": frozenset(NAMESPACES),
            "uid": OUTSIDE_UID if os.getuid() == 0 else None,
            "binds": (Bind(workspace, "/workspace", writable=True),),
            "cwd": "/workspace",
            "env": PATH,
            **fields,
        }
    )


class Heard:
    """What a program writes; `wait` fires when it has written some text."""

    def __init__(self) -> None:
        self.text = {1: b"", 2: b""}
        self._waiting: list[tuple[bytes, Deferred[None]]] = []

    def __call__(self, stream: int, data: bytes) -> None:
        self.text[stream] += data
        for wanted, waiter in list(self._waiting):
            if wanted in self.text[1]:
                self._waiting.remove((wanted, waiter))
                waiter.callback(None)

    def wait(self, wanted: bytes) -> Deferred[None]:
        waiter: Deferred[None] = Deferred()
        self._waiting.append((wanted, waiter))
        self(1, b"")
        return waiter


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor turn until something holds; the test's time limit bounds it."""
    while not condition():
        await deferLater(reactor, 0)


_send_piece = ControlSocket._send_piece


def nothing_passes(control: ControlSocket, message: Any) -> None:
    """In place of L{ControlSocket._send_piece}: the operating system takes nothing."""
    raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))


def no_descriptor_passes(control: ControlSocket, message: Any) -> None:
    """Likewise: it takes no descriptors (unix(7))."""
    if message.fds:
        nothing_passes(control, message)
    _send_piece(control, message)


def holders_of(path: str) -> list[str]:
    """Processes that have a file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.path.samefile(link, path):
                found.append(link.parts[2])
    return found


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
