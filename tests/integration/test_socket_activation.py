"""A kernel at a socket that systemd's own program has opened, and what it tells a service manager."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from tests.integration.conftest import READY_SECONDS, TWISTD
from tests.waiting import until

PROGRAM = shutil.which("systemd-socket-activate")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs systemd-socket-activate (systemd)")


def listens(path: str) -> bool:
    """Whether a socket of this name takes connections: it is bound a moment before (proc_net(5), C{Flags})."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return any(row[7:] == [path] and int(row[3], 16) & 0x10000 for row in rows)


@contextlib.contextmanager
def waiting_kernel(
    directory: str, mode: int, notify: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A kernel that is started when somebody connects to the socket in a directory."""
    words = [f"--listen={directory}/s", "--fdname=clove-kernel", f"--setenv=NOTIFY_SOCKET={notify}"]
    words += [f"--setenv={name}" for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ]
    kernel = [
        str(TWISTD),
        "-n",
        "--pidfile=",
        "clove-kernel",
        "-s",
        f"{directory}/s",
        "-d",
        f"{directory}/d",
    ]
    with Path(directory, "log").open("wb") as log:
        process = subprocess.Popen(
            [str(PROGRAM), *words, *kernel],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
        )
    try:
        until(lambda: listens(f"{directory}/s"), "the program listens")
        os.chmod(f"{directory}/s", mode)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_who_connects_starts_it_and_it_says_when_it_is_ready(short_dir: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{short_dir}/n")
        manager.settimeout(READY_SECONDS)
        with waiting_kernel(short_dir, 0o600, f"{short_dir}/n"):
            with CloveClient(f"{short_dir}/s") as client:
                assert client.noop(b"x") == b"x"
            said = manager.recv(4096).decode()
            assert said == f"READY=1\nSTATUS=answers on {short_dir}/s; agents: 0"
            assert os.path.exists(f"{short_dir}/s")
        assert manager.recv(4096).decode() == "STOPPING=1\nSTATUS=stopping"
        assert os.path.exists(f"{short_dir}/s"), "it is not the kernel's to remove"


def test_a_socket_that_others_reach_is_a_start_that_fails(short_dir: str) -> None:
    with waiting_kernel(short_dir, 0o666) as process:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{short_dir}/s")
            assert process.wait(READY_SECONDS) == 1
        said = Path(short_dir, "log").read_text()
        assert "must have 0600" in said
        assert "Traceback" not in said
