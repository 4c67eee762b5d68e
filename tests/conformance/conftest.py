"""A real kernel for the conformance tests, started as a user starts it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import daemons
from tests.conformance.peer import Peer
from tests.integration.conftest import FORM, PATIENT, READY_SECONDS, TWISTD

READY = max(30.0, READY_SECONDS)
"""Seconds that a kernel gets to answer; a loaded machine may need some."""


class Kernel:
    """One kernel process, in a directory of its own.

    @ivar place: its working directory, with room for the tests' files.
    @ivar log: what it said.
    """

    def __init__(self, config: str = "", *, descriptors: int | None = None) -> None:
        self.place = Path(tempfile.mkdtemp(dir="/tmp", prefix="cf"))
        self.socket = str(self.place / "k.sock")
        self.log = self.place / "log"
        (self.place / "clove.toml").write_text(FORM + config + PATIENT)
        command = [str(TWISTD), "-n", "--pidfile=", "clove-kernel", "--socket", self.socket]
        command += ["--state-dir", str(self.place / "state"), "--config"]
        command.append(str(self.place / "clove.toml"))

        environ = {name: value for name, value in os.environ.items() if "KEY" not in name}
        with self.log.open("wb") as log:
            limit = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
            self.process = daemons.start_daemon(
                [*limit, *command],
                cwd=str(self.place),
                environ=environ,
                output=log,
                python=() if limit else [sys.executable],
            )
        self._await()

    def _await(self) -> None:
        end = time.monotonic() + READY
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.socket) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise AssertionError("the kernel did not come up")

    def peer(self) -> Peer:
        """A new connection."""
        return Peer(self.socket)

    def rss(self) -> int:
        """Bytes of memory that the kernel holds now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
        raise AssertionError("the kernel is gone")

    def answers(self) -> None:
        """Assert that it serves somebody else."""
        with self.peer() as other:
            assert other.call(0, b"still there?").payload == b"still there?"

    def stop(self) -> None:
        """End it and remove its directory."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        text = self.log.read_text(errors="replace")
        shutil.rmtree(self.place)
        if self.process.returncode not in (0, -signal.SIGTERM) or "Traceback" in text:
            raise AssertionError(
                f"the kernel ended with {self.process.returncode}:\n{text[-8000:]}"
            )


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel with its defaults, shared by a module's tests, which run in its directory.

    A relative path means the caller's working directory, so this one too.
    """
    kernel = Kernel()
    before = os.getcwd()
    os.chdir(kernel.place)
    yield kernel
    os.chdir(before)
    kernel.stop()


@pytest.fixture
def make_kernel() -> Iterator[Callable[..., Kernel]]:
    """Kernels with a configuration of the test's own; ended with the test."""
    made: list[Kernel] = []

    def make(config: str = "", *, descriptors: int | None = None) -> Kernel:
        made.append(Kernel(config, descriptors=descriptors))
        return made[-1]

    yield make
    for kernel in made:
        kernel.stop()


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> int:
    """Both versions of the protocol are held to the same table."""
    number: int = request.param
    return number


@pytest.fixture
def peer(kernel: Kernel, version: int) -> Iterator[Peer]:
    """A fresh connection that speaks this version."""
    with kernel.peer() as peer:
        if version == 2:
            peer.hello2()
        yield peer
