"""Crashes where the host pipes cores to a program, as systemd-coredump and apport have it.

The pattern is the machine's (core(5)), so only a machine that is thrown away can try it.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from tests.vm.conftest import Unit

PATTERN = Path("/proc/sys/kernel/core_pattern")
WAITS = Path("/proc/sys/kernel/core_pipe_limit")
CRASH = """
import os, resource, signal, subprocess
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for _ in range(2):
    assert subprocess.run(["sh", "-c", "ulimit -c 0; kill -SEGV $$"]).returncode == -signal.SIGSEGV
os.abort()
"""


@pytest.fixture
def handled(tmp_path: Path) -> Iterator[Path]:
    """The file to which a handler of cores adds a line for each."""
    told, handler = tmp_path / "told", tmp_path / "handler"
    handler.write_text(f"#!/bin/sh\necho core >>{told}\ncat >/dev/null\n")
    handler.chmod(0o755)
    told.touch()
    before, waits = PATTERN.read_text(), WAITS.read_text()
    WAITS.write_text("4")  # a crash ends when its handler has
    PATTERN.write_text(f"|{handler}")
    yield told
    PATTERN.write_text(before)
    WAITS.write_text(waits)


def crash(limit: int) -> None:
    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
        os.chdir("/")

    subprocess.run(["sh", "-c", "kill -SEGV $$"], preexec_fn=prepare, check=False)


def test_no_crash_of_an_agent_runs_the_host_s_handler(
    client: CloveClient, unit: Unit, handled: Path
) -> None:
    for warm in (True, False):
        agent = client.spawn(f"crash-{warm}", unit.script(CRASH), warm=warm)
        assert client.wait(agent["id"], timeout=60)["signal"] == 6
    assert handled.read_text() == ""
    crash(1)
    assert handled.read_text() == ""
    crash(0)  # which is no limit for a handler: the trial can see one
    assert handled.read_text() == "core\n"
