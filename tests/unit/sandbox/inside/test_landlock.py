"""Landlock: rules from a spec, and what they do to a process that has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.sandbox.inside import landlock
from clove.sandbox.inside.landlock import (
    EXECUTE,
    IOCTL_DEV,
    MAKE_BLOCK,
    MAKE_CHAR,
    READ,
    REFER,
    TRUNCATE,
    WRITE_FILE,
    handled,
    rules,
    scopes,
)

ROOT = str(Path(__file__).parents[4])
SPEC = {
    "binds": [
        {"source": "/usr", "target": "/usr", "writable": False},
        {"source": "/x", "target": "/workspace", "writable": True},
    ],
    "tmpfs": {"/tmp": 1},
    "executables": None,
}


def test_only_what_is_mounted_writable_can_be_written() -> None:
    found = dict(rules(SPEC, ("null",)))
    writable = {path for path, rights in found.items() if rights & WRITE_FILE}
    assert writable == {"/workspace", "/tmp", "/dev/shm", "/dev/null", "/dev/pts", "/proc"}
    assert found["/"] == READ


def test_what_alone_can_be_executed_is_all_that_can() -> None:
    found = dict(rules(SPEC, ("null",)))
    assert all(found[path] & EXECUTE for path in ("/", "/workspace", "/tmp"))
    found = dict(rules({**SPEC, "executables": ["/usr/bin/x"]}, ("null",)))
    assert [path for path, rights in found.items() if rights & EXECUTE] == ["/usr/bin/x"]
    assert found["/"] == READ & ~EXECUTE


def test_devices_can_be_made_nowhere() -> None:
    for _, rights in rules(SPEC, ("null", "tty")):
        assert not rights & (MAKE_CHAR | MAKE_BLOCK)


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        (1, 0, REFER | TRUNCATE | IOCTL_DEV),
        (2, REFER, TRUNCATE | IOCTL_DEV),
        (3, REFER | TRUNCATE, IOCTL_DEV),
        (4, REFER | TRUNCATE, IOCTL_DEV),
        (9, REFER | TRUNCATE | IOCTL_DEV, 0),
    ],
)
def test_an_abi_is_asked_for_nothing_that_it_does_not_know(
    version: int, has: int, lacks: int
) -> None:
    assert handled(version) & (has | lacks) == has
    assert bool(scopes(version)) == (version >= 6)


PROGRAM = """
import errno, json, os, socket, sys
sys.path.insert(0, sys.argv[1])
from clove.sandbox.inside import capabilities, landlock
inside, outside, name = sys.argv[2:5]
before = os.open(outside, os.O_PATH)
capabilities.forbid_new_privileges()
everything = landlock.handled(9) & ~landlock.DEVICES
version = landlock.restrict([("/", landlock.READ), (inside, everything), ("/nowhere", everything)])
results = {"version": version}

def attempt(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def make(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

def connect(address):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)

for directory in ("a", "b"):
    os.mkdir(f"{inside}/{directory}")
own = socket.socket(socket.AF_UNIX)
own.bind("\\0" + name + "-own")
own.listen()
results |= {
    "write inside": attempt(make, f"{inside}/a/file"),
    "truncate inside": attempt(os.truncate, f"{inside}/a/file", 0),
    "rename across directories": attempt(os.rename, f"{inside}/a/file", f"{inside}/b/file"),
    "link across directories": attempt(os.link, f"{inside}/b/file", f"{inside}/a/link"),
    "fifo inside": attempt(os.mkfifo, f"{inside}/fifo"),
    "whiteout inside": attempt(os.mknod, f"{inside}/device", 0o020644, 0),
    "read outside": attempt(os.listdir, outside),
    "write outside": attempt(make, f"{outside}/new"),
    "overwrite outside": attempt(make, f"{outside}/file"),
    "truncate outside": attempt(os.truncate, f"{outside}/file", 0),
    "remove outside": attempt(os.unlink, f"{outside}/file"),
    "rename to outside": attempt(os.rename, f"{inside}/b/file", f"{outside}/moved"),
    "by a descriptor held before": attempt(make, f"/proc/self/fd/{before}/new"),
    "path socket": attempt(connect, f"{outside}/socket"),
    "abstract socket": attempt(connect, "\\0" + name),
    "own abstract socket": attempt(connect, "\\0" + name + "-own"),
    "signal outside": attempt(os.kill, os.getppid(), 0),
    "signal itself": attempt(os.kill, os.getpid(), 0),
}
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, Any]]:
    """What a process under Landlock could do."""
    import socket

    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory,
        socket.socket(socket.AF_UNIX) as path_socket,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        inside, outside = f"{directory}/inside", f"{directory}/outside"
        os.mkdir(inside)
        os.mkdir(outside)
        Path(outside, "file").write_text("x")
        path_socket.bind(f"{outside}/socket")
        path_socket.listen()
        name = f"clove{directory}"
        abstract.bind("\0" + name)
        abstract.listen()
        words = [sys.executable, "-c", PROGRAM, ROOT, inside, outside, name]
        ran = subprocess.run(words, capture_output=True, text=True, timeout=50)
        assert ran.stdout, ran.stderr
        assert Path(outside, "file").read_text() == "x"
        yield json.loads(ran.stdout)


needs_landlock = pytest.mark.skipif(
    landlock.abi() < landlock.LEAST_ABI, reason="this Linux has no Landlock of ABI 2 or later"
)


@needs_landlock
@pytest.mark.parametrize(
    "work",
    [
        "write inside",
        "truncate inside",
        "rename across directories",
        "link across directories",
        "fifo inside",
        "read outside",
        "path socket",
        "own abstract socket",
        "signal itself",
    ],
)
def test_what_the_rules_give_goes_on(found: dict[str, Any], work: str) -> None:
    assert found[work] == "done"


@needs_landlock
@pytest.mark.parametrize(
    ("attempt", "since"),
    [
        ("whiteout inside", 2),
        ("write outside", 2),
        ("overwrite outside", 2),
        ("truncate outside", 3),
        ("remove outside", 2),
        ("rename to outside", 2),
        ("by a descriptor held before", 2),
        ("abstract socket", 6),
        ("signal outside", 6),
    ],
)
def test_what_no_rule_gives_is_refused(found: dict[str, Any], attempt: str, since: int) -> None:
    if found["version"] < since:
        pytest.skip(f"this Linux has Landlock ABI {found['version']}, this needs {since}")
    assert found[attempt] in ("EACCES", "EPERM", "EXDEV")


def test_without_landlock_nothing_is_confined_and_that_is_said() -> None:
    if landlock.abi() >= landlock.LEAST_ABI:
        pytest.skip("this Linux has Landlock")
    assert landlock.restrict([("/", READ)]) == 0
