"""A daemon that is forked for a test does what one that is executed does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import daemons
from tests.integration.conftest import TWISTD
from tests.waiting import until

BOTH = pytest.mark.parametrize("python", [[sys.executable], []], ids=["forked", "executed"])


def start(directory: Path, config: str, python: list[str]) -> daemons.Process:
    (directory / "relay.toml").write_text(config)
    command = [str(TWISTD), "-n", "--pidfile=", "clove-relay"]
    command += ["--state-dir", "state", "--config", "relay.toml"]
    with (directory / "log").open("wb") as log:
        return daemons.start_daemon(
            command, cwd=str(directory), environ=os.environ, output=log, python=python
        )


@BOTH
def test_a_refusal_is_a_line_and_an_exit_code(tmp_path: Path, python: list[str]) -> None:
    process = start(tmp_path, "[rest]\nprot = 0\n", python)
    assert process.wait(30) == 1
    assert process.poll() == process.returncode == 1
    [line] = (tmp_path / "log").read_text().splitlines()
    assert "prot" in line


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_it_runs_in_its_directory_until_a_signal_ends_it(
    tmp_path: Path, python: list[str], number: signal.Signals
) -> None:
    process = start(tmp_path, "[rest]\nport = 0\n[hub]\nport = 0\n", python)
    try:
        until(lambda: (tmp_path / "log").read_text().count(" serves ") == 2, "it serves")
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0)
        assert Path(f"/proc/{process.pid}/cwd").readlink() == tmp_path
        assert Path(f"/proc/{process.pid}/comm").read_text() == "twistd\n"
        assert sorted(os.listdir(tmp_path)) == ["log", "relay.toml", "state"]
        process.send_signal(number)
        assert process.wait(30) in (0, -number)
        process.send_signal(number)  # to one that has ended: nothing
    finally:
        process.kill()
        process.wait()
