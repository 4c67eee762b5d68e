"""What is removed on a machine while an installer runs there whose connection was cut."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import pytest

from clove.deploy.ssh import scripts


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    made = tmp_path / "clove"
    made.mkdir()
    return made


def uninstalling(prefix: Path, script: str = scripts.UNINSTALL) -> subprocess.Popen[str]:
    words = ["sh", "-c", script, "sh", str(prefix), str(prefix.parent / "staged"), "--user"]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def stage(prefix: Path) -> Path:
    """An installer that says what it was asked; where it says so."""
    install, said = prefix.parent / "staged/install", prefix.parent / "said"
    install.parent.mkdir()
    install.write_text(f'#!/bin/sh\necho "$@" > {said}\n')
    install.chmod(0o755)
    return said


def test_a_removal_waits_for_the_one_that_runs(prefix: Path) -> None:
    with open(prefix / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with uninstalling(prefix) as second:
            said = stage(prefix)  # what is there counts when the first has ended
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.wait(60) == 0
    assert said.read_text() == "--uninstall --user\n"


def test_one_that_runs_on_is_an_error_that_says_so(prefix: Path) -> None:
    with open(prefix / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with uninstalling(prefix, scripts.UNINSTALL.replace("-w 120", "-w 0")) as second:
            assert second.stderr is not None
            assert "run this again" in second.stderr.read()
            assert second.wait(60) == 1


def test_where_nothing_runs_it_does_not_wait(prefix: Path) -> None:
    (prefix / ".lock").touch()
    said = stage(prefix)
    with uninstalling(prefix) as only:
        assert only.wait(60) == 0
    assert said.exists()
