"""A real kernel for the tests: `twistd clove-kernel` as a child process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clove import CloveClient
from clove.errors import NotFound
from tests import daemons
from tests.adversary.isolated import PATHS

if TYPE_CHECKING:
    from tests.integration.exposed import Host
    from tests.postgresql import PostgreSQL

TWISTD = Path(sys.executable).with_name("twistd")
READY_SECONDS = 60  # of a machine on which much else runs
FORM = ""
"""Begins each configuration: C{make test-fast} has kernels refuse to start without the compiled part."""
if "CLOVE_COMPILED" in os.environ:
    FORM = f'compiled = "{os.environ["CLOVE_COMPILED"]}"\n'
PATIENT = ""
if "CLOVE_GUEST" in os.environ:  # where software emulates the processor (docs/vm.md)
    READY_SECONDS = 90
    PATIENT = f"\n[limits.launch]\nlaunch_timeout = {READY_SECONDS}.0\n"

BOTH = pytest.mark.parametrize("sandboxed", [True, False], ids=["sandboxed", "unsandboxed"])
SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(100)\n"
STUBBORN = (
    "import signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
    "print('up', flush=True)\ntime.sleep(100)\n"
)


@dataclass
class KernelProcess:
    """A running kernel.

    @ivar prefix: a command that runs its command.
    """

    directory: str
    config: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    process: daemons.Process | None = None

    @property
    def socket(self) -> str:
        return os.path.join(self.directory, "s")

    @property
    def state_dir(self) -> str:
        return os.path.join(self.directory, "d")

    @property
    def log(self) -> str:
        return Path(self.directory, "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def is_usual(self) -> bool:
        """Whether its start is none of its own, so that it may be forked (L{daemons})."""
        usual = {"HOME": self.environ.get("HOME", ""), "PYTHONPATH": os.pathsep.join(PATHS)}
        own = "command" in vars(self) or self.environ.items() - usual.items()
        return not (self.prefix or own)

    def python(self) -> list[str]:
        """The command that runs Python."""
        return [sys.executable]

    def command(self) -> list[str]:
        words = [str(TWISTD), "-n", "--pidfile=", "clove-kernel"]
        words += ["--socket", self.socket, "--state-dir", self.state_dir]
        if config := FORM + self.config + PATIENT:
            path = Path(self.directory, "config.toml")
            path.write_text(config)
            words += ["--config", str(path)]
        return words

    def start(self) -> None:
        """Start it and wait until it answers."""
        environ = {**os.environ, "GEMINI_API_KEY": "", "GOOGLE_API_KEY": "", **self.environ}
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = daemons.start_daemon(
                [*self.prefix, *self.command()],
                cwd=self.directory,
                environ=environ,
                output=log,
                python=self.python() if self.is_usual() else (),
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the kernel did not start:\n{self.log}")
            time.sleep(0.01)

    def check_runs(self) -> None:
        """Fail with its last words if it has ended."""
        assert self.process is not None
        ended = self.process.poll()
        if ended is not None:
            pytest.fail(f"the kernel has ended with {ended}:\n{self.log[-8000:]}")

    def answers(self) -> bool:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            try:
                probe.connect(self.socket)
            except OSError:
                return False
            return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def running_kernel(
    config: str = "", environ: dict[str, str] | None = None
) -> Iterator[KernelProcess]:
    """A kernel in a directory of its own, gone afterwards."""
    directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
    kernel = KernelProcess(directory, config, environ or {})
    try:
        kernel.start()
        yield kernel
    finally:
        if kernel.process is not None:
            kernel.stop()
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProcess]:
    """One kernel for the tests of a module."""
    with running_kernel() as process:
        yield process


@pytest.fixture
def own_kernel() -> Iterator[KernelProcess]:
    """A kernel for one test alone."""
    with running_kernel() as process:
        yield process


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL for all tests of this process, with a database for each (C{new_database}); none ends it."""
    from tests.postgresql import own_postgresql  # a guest has no psycopg

    with own_postgresql() as running:
        yield running


@pytest.fixture
def client(kernel: KernelProcess) -> Iterator[CloveClient]:
    """An operator's connection to the module's kernel; the agents end with it."""
    with CloveClient(kernel.socket) as connected:
        yield connected
        for agent in connected.list_agents():
            with contextlib.suppress(NotFound):  # it ended by itself meanwhile
                connected.kill(agent["id"])


@pytest.fixture
def script(kernel: KernelProcess) -> Any:
    """Writes a script into the kernel's directory and gives its path."""
    numbers = iter(range(100))

    def write(text: str) -> str:
        path = Path(kernel.directory, f"agent{next(numbers)}.py")
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(scope="module", params=["root", "rootless"])
def kernel_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A kernel of root and one of an ordinary user, for the tests of a module."""
    from tests.integration.exposed import host  # which stands on this module

    with host(str(request.param)) as running:
        yield running


def until_up(client: CloveClient, name: str) -> None:
    """Wait until an agent has printed `up`."""
    for line in client.follow_logs(name):
        if line["text"] == "up":
            return
