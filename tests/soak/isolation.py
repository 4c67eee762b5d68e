"""A network that nothing leaves, and a resolver that never answers."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["enclose", "enclosed", "silent_resolver"]

_MARK = "CLOVE_SOAK_ENCLOSED"
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
"""netdevice(7)."""


def enclosed() -> bool:
    """Whether this process is in namespaces made by L{enclose}."""
    return _MARK in os.environ


def enclose(module: str, arguments: list[str]) -> None:
    """Begin again in a network namespace with loopback alone, where the host's resolver is silent.

    Root can; for others this does nothing, and hostile agents ask for no names.
    """
    if enclosed() or os.getuid() != 0 or shutil.which("unshare") is None:
        return
    again = [sys.executable, "-m", module, *arguments]
    os.environ[_MARK] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", *again])


def silent_resolver() -> socket.socket:
    """Bring loopback up, and make of this namespace's resolver one that takes questions only.

    @raise OSError, subprocess.CalledProcessError: one of the two cannot be done.
    """
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    asked.bind(("127.0.0.1", 53))
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
        file.flush()
        Path(file.name).chmod(0o644)
        place = os.path.realpath("/etc/resolv.conf")
        subprocess.run(["mount", "--bind", file.name, place], check=True)
    return asked
