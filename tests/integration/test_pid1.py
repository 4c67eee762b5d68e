"""A kernel that is process 1 of its pid namespace, as the first process of a container is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from tests.integration.conftest import READY_SECONDS, SLEEP, KernelProcess
from tests.integration.zygotes import children, until_warm, zygote_of

ALONE: tuple[str, ...] = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
if os.geteuid() != 0:
    ALONE = ("unshare", "--user", "--map-current-user", *ALONE[1:])


def _reason() -> str:
    """Why these tests cannot run here; empty if they can."""
    try:
        tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "no unshare(1)"
    return tried.stderr.strip()


pytestmark = pytest.mark.skipif(bool(_reason()), reason=_reason() or "-")


class FirstProcess(KernelProcess):
    """A kernel in a pid namespace of its own."""

    @property
    def pid(self) -> int:
        """The kernel's, as seen from here; 0: not there yet."""
        return next(iter(children(super().pid)), 0)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code. Its parent, unshare(1), lets signals be."""
        assert self.process is not None
        if self.process.poll() is None and self.pid:
            os.kill(self.pid, number)
        return self.process.wait(30)


@pytest.fixture
def first(short_dir: str) -> Iterator[FirstProcess]:
    """A kernel that has not been started."""
    kernel = FirstProcess(short_dir, config="[access]\nother_namespaces = true\n", prefix=ALONE)
    try:
        yield kernel
    finally:
        if kernel.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                kernel.stop()
            kernel.process.kill()
            kernel.process.wait()


WAITING = """
import sys
import clove.kernel.config
load = clove.kernel.config.load
def waiting(path):
    with open({fifo!r}) as fifo:
        fifo.read()
    return load(path)
clove.kernel.config.load = waiting
from twisted.scripts.twistd import run
sys.argv[0] = "twistd"
run()
"""
"""A kernel that reads its configuration when it is told to."""


def state(pid: int) -> str:
    """Of a process, in a letter; empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def until_no_zombies(kernel: FirstProcess) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while left := [pid for pid in children(kernel.pid) if state(pid) == "Z"]:
        assert time.monotonic() < deadline, f"not collected: {left}"
        time.sleep(0.02)


def helpers(kernel: FirstProcess) -> list[int]:
    """Those of programs that started cold."""
    return [
        pid
        for pid in children(kernel.pid)
        if b"/helper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def write(kernel: KernelProcess, text: str) -> str:
    path = Path(kernel.directory, "agent.py")
    path.write_text(text)
    return str(path)


def test_sigterm_drains(first: FirstProcess) -> None:
    first.start()
    with CloveClient(first.socket) as client:
        client.spawn("boxed", write(first, SLEEP))
        client.spawn("plain", write(first, SLEEP), sandboxed=False)
        assert first.stop() == 0
    assert "Main loop terminated" in first.log
    assert not os.path.lexists(first.socket)
    assert not os.path.lexists(f"{first.state_dir}/agents")


def test_sigterm_is_kept_while_it_starts(first: FirstProcess) -> None:
    """Linux drops a signal to process 1 for which it has no handler, unless it is blocked."""
    fifo = Path(first.directory, "go")
    os.mkfifo(fifo)
    _, *words = first.command()
    command = [*first.prefix, sys.executable, "-P", "-c", WAITING.format(fifo=str(fifo)), *words]
    with open(f"{first.directory}/log", "wb") as log:
        first.process = subprocess.Popen(command, stdout=log, stderr=log)
    with open(fifo, "w"):  # open(2) returns when the kernel reads it
        os.kill(first.pid, signal.SIGTERM)
    assert first.process.wait(READY_SECONDS) == 0
    assert "Main loop terminated" in first.log
    assert not os.path.lexists(first.socket)


def test_processes_with_a_killed_parent_are_reaped(first: FirstProcess) -> None:
    first.start()
    script = write(first, SLEEP)
    with CloveClient(first.socket) as client:
        agents = [client.spawn("boxed", script, warm=False)["id"]]
        agents.append(client.spawn("plain", script, sandboxed=False)["id"])
        for helper in helpers(first):
            os.kill(helper, signal.SIGKILL)
        for agent in agents:
            client.wait(agent)
        until_no_zombies(first)


def test_agents_that_outlive_their_zygote_are_reaped(first: FirstProcess) -> None:
    first.start()
    with CloveClient(first.socket) as client:
        agent = until_warm(client, write(first, SLEEP))
        os.kill(zygote_of(first), signal.SIGKILL)
        client.kill(agent["id"])
        until_no_zombies(first)


def test_its_own_children_are_told_from_orphans(first: FirstProcess) -> None:
    """Each one's exit code comes through, while others are reaped all the time."""
    first.start()
    orphans = "for i in 1 2 3; do (sleep 0.0$i &) ; done; exit 7"
    with CloveClient(first.socket) as client:
        for _ in range(20):
            assert client.exec(orphans)["exit_code"] == 7
        until_no_zombies(first)
