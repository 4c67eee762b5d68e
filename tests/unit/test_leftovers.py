"""The guard of tests/conftest.py catches what tests leave behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
LEAKY = """
import os
import tempfile

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Factory
from twisted.logger import Logger


async def test_clean():
    reactor.callLater(0, lambda: None)


async def test_expected_failure(logged_failures):
    try:
        1 / 0
    except ZeroDivisionError:
        Logger().failure("as planned")
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


async def test_call_left():
    reactor.callLater(1000, print)


async def test_port_left():
    reactor.listenTCP(0, Factory(), interface="127.0.0.1")


async def test_failure_in_deferred():
    fail(ValueError("nobody looks"))


def test_failure_logged():
    try:
        1 / 0
    except ZeroDivisionError:
        Logger().failure("not planned")


def test_file_left():
    with open(os.environ["LEFT"], "w") as note:
        note.write(tempfile.mkdtemp())


def test_child_left():
    os.spawnv(os.P_NOWAIT, "/bin/sleep", ["sleep", "4"])


@pytest.mark.time_limit(0.05)
async def test_never_ends():
    await Deferred()
"""


def test_what_a_test_leaves_makes_it_fail(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").symlink_to(TESTS / "conftest.py")
    (tmp_path / "test_leaky.py").write_text(LEAKY)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = time_limit(seconds): limit\n")
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-rA"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:anyio", "--rootdir", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "LEFT": str(tmp_path / "left"), "CLOVE_TEST_SETTLE": "5"},
        capture_output=True,
        text=True,
        check=False,
    )
    Path((tmp_path / "left").read_text()).rmdir()
    bad = dict(re.findall(r"^(?:ERROR|FAILED) \S+::(\w+) - (.*)$", done.stdout, re.MULTILINE))
    assert set(bad) == {
        "test_call_left",
        "test_port_left",
        "test_failure_in_deferred",
        "test_failure_logged",
        "test_file_left",
        "test_child_left",
        "test_never_ends",
    }, done.stdout
    for words in ("calls: <DelayedCall", "sockets: ", "files: ", "children: ", "failure logged: "):
        assert words in done.stdout


def test_a_short_directory_has_room_for_a_socket(short_dir: str) -> None:
    assert len(os.path.join(short_dir, "x" * 60)) < 107
