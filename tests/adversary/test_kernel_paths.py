"""What the kernel keeps on the host, and another user of it: row 5 of the attacks."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena
from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.conftest import READY_SECONDS, KernelProcess
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, OrdinaryKernel

STRANGER = 54321
TRY = """
import errno, json, os, socket, sys

def outcome(function, *args):
    try:
        return repr(function(*args))
    except OSError as error:
        return errno.errorcode[error.errno]

def connect(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)

def plant(path):
    os.symlink("/etc/passwd", path)

facts = json.loads(sys.argv[1])
found = {}
for path in facts["directories"]:
    found[f"list {path}"] = outcome(os.listdir, path)
    found[f"plant in {path}"] = outcome(plant, path + "/planted")
    found[f"rename {path}"] = outcome(os.rename, path, path + "-old")
for path in facts["files"]:
    found[f"read {path}"] = outcome(open, path)
    found[f"remove {path}"] = outcome(os.unlink, path)
for path in facts["sockets"]:
    found[f"connect {path}"] = outcome(connect, path)
    found[f"bind {path}"] = outcome(os.unlink, path)
for pid in facts["pids"]:
    found[f"signal {pid}"] = outcome(os.kill, pid, 0)
    for name in ("environ", "mem", "fd/0", "root/etc/hostname", "cwd/x"):
        found[f"{name} {pid}"] = outcome(open, f"/proc/{pid}/{name}")
print(json.dumps(found))
"""
needs_strangers = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


def below(path: str) -> Iterator[tuple[Path, os.stat_result]]:
    for directory, names, files in os.walk(path):
        for name in (*names, *files):
            there = Path(directory, name)
            yield there, there.lstat()


def test_what_the_kernel_keeps_is_closed_to_others(here: Arena) -> None:
    """Everything lies below one directory that only its user can enter."""
    agent = here.spawn()
    state = os.stat(here.kernel.state_dir)
    assert stat.S_IMODE(state.st_mode) == 0o700
    owner = 0 if here.who == ROOT else state.st_uid
    assert state.st_uid == owner
    for path, facts in below(here.kernel.state_dir):
        if f"/agents/{agent.id}/workspace" in str(path):
            continue  # the agent's own
        assert facts.st_uid == owner, (path, here.kernel.log[-4000:])
        assert not stat.S_ISLNK(facts.st_mode), path
        if stat.S_ISDIR(facts.st_mode):
            assert not stat.S_IMODE(facts.st_mode) & 0o022, path
    main = os.stat(here.kernel.socket)
    assert (stat.S_IMODE(main.st_mode), main.st_uid) == (0o600, owner)


@needs_strangers
def test_a_second_user_can_neither_read_nor_plant(here: Arena) -> None:
    if not unprivileged_python():
        pytest.skip("no interpreter that an ordinary user can run")
    agent = here.spawn()
    state = here.kernel.state_dir
    [entry] = [one for one in here.client.list_agents() if one["id"] == agent.id]
    facts: dict[str, list[Any]] = {
        "directories": [state, f"{state}/run", f"{state}/agents", f"{state}/logs"],
        "files": [f"{state}/kernel.lock", f"{state}/agents/{agent.id}/app/agent.py"],
        "sockets": [here.kernel.socket, f"{state}/run/{agent.id}.sock"],
        "pids": [here.kernel.pid, entry["pid"]],
    }
    ran = subprocess.run(
        [unprivileged_python(), "-I", "-c", TRY, json.dumps(facts)],
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
        capture_output=True,
        cwd="/",
        check=True,
    )
    found = json.loads(ran.stdout)
    assert len(found) == 32
    assert set(found.values()) <= {"EACCES", "EPERM", "ENOENT"}, found


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
@pytest.mark.parametrize("what", ["foreign directory", "link", "foreign socket", "link for socket"])
@needs_strangers
def test_what_others_have_planted_is_not_used(who: str, what: str) -> None:
    if who == ROOTLESS and not unprivileged_python():
        pytest.skip("no interpreter that an ordinary user can run")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        kind = KernelProcess if who == ROOT else OrdinaryKernel
        kernel = kind(directory)
        os.chmod(directory, 0o1777)
        target = Path(directory, "target")
        target.mkdir(mode=0o777)
        os.chown(target, STRANGER, STRANGER)
        if what == "foreign directory":
            os.mkdir(kernel.state_dir)
            os.chown(kernel.state_dir, STRANGER, STRANGER)
            os.chmod(kernel.state_dir, 0o777)
        elif what == "link":
            os.symlink(target, kernel.state_dir)
        elif what == "foreign socket":
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(kernel.socket)
            os.chown(kernel.socket, STRANGER, STRANGER)
        else:
            os.symlink(target / "s", kernel.socket)
        if os.path.lexists(kernel.state_dir) and what == "link":
            os.chown(kernel.state_dir, STRANGER, STRANGER, follow_symlinks=False)
        ran = subprocess.run(
            kernel.command(),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "HOME": directory},
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            cwd="/",
        )
        assert ran.returncode != 0
        assert "Traceback" not in ran.stdout + ran.stderr
        assert os.listdir(target) == []
        if what == "foreign directory":
            assert os.listdir(kernel.state_dir) == []


def test_the_ordinary_users_kernel_is_one() -> None:
    """The tests above would prove nothing if it ran as the stranger."""
    assert STRANGER != ORDINARY
