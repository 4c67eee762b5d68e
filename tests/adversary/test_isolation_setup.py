"""The set-up of a sandbox under attack, and where isolation cannot be had."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.isolated import started
from tests.integration.conftest import READY_SECONDS

Run = Callable[..., Any]
LIST = "import json, os, sys; print(json.dumps(sorted(os.listdir(sys.argv[1]))))"


@pytest.fixture(params=["root", "rootless"])
def who(request: pytest.FixtureRequest) -> str:
    """Whose kernel it is."""
    return str(request.param)


@pytest.fixture
def open_dir(short_dir: str) -> str:
    """A directory that everybody may use."""
    os.chmod(short_dir, 0o777)
    return short_dir


def test_a_bind_source_that_is_a_link_is_refused(
    who: str, run_isolated: Run, open_dir: str
) -> None:
    os.symlink("/etc", f"{open_dir}/link")
    result = run_isolated(
        who,
        {"code": LIST, "args": ["/x"], "binds": [{"source": f"{open_dir}/link", "target": "/x"}]},
    )
    assert result["error"]["code"] == "isolation_unavailable"
    assert "symbolic links" in result["error"]["error"]


def test_a_bind_target_never_follows_a_link_planted_in_the_workspace(
    who: str, run_isolated: Run, open_dir: str
) -> None:
    Path(open_dir, "file").write_text("x")
    os.mkdir(f"{open_dir}/victim")
    bind = {"source": f"{open_dir}/file", "target": "/workspace/sub/new"}
    result = run_isolated(
        who, {"code": LIST, "args": ["/"], "binds": [bind], "links": {"sub": f"{open_dir}/victim"}}
    )
    assert result["error"]["code"] == "isolation_unavailable"
    assert os.listdir(f"{open_dir}/victim") == []


def test_a_bind_target_is_not_made_in_the_workspace(
    who: str, run_isolated: Run, open_dir: str
) -> None:
    Path(open_dir, "file").write_text("x")
    bind = {"source": f"{open_dir}/file", "target": "/workspace/sub/new"}
    result = run_isolated(who, {"code": LIST, "args": ["/"], "binds": [bind]})
    assert result["error"]["code"] == "isolation_unavailable"
    assert result["left"] == []


@pytest.fixture
def swapping(open_dir: str) -> Iterator[str]:
    """A path that is a directory and a link to /etc in turn, as fast as can be."""
    path, link, spare = (f"{open_dir}/{name}" for name in ("path", "link", "spare"))
    os.mkdir(path)
    Path(path, "inside").write_text("x")
    os.symlink("/etc", link)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(path, spare)
            os.rename(link, path)
            os.rename(path, link)
            os.rename(spare, path)

    thread = threading.Thread(target=swap)
    thread.start()
    yield path
    stop.set()
    thread.join()


def test_a_source_swapped_for_a_link_is_never_mounted(
    who: str, run_isolated: Run, swapping: str
) -> None:
    for _ in range(4):
        result = run_isolated(
            who, {"code": LIST, "args": ["/x"], "binds": [{"source": swapping, "target": "/x"}]}
        )
        if "error" in result:
            assert result["error"]["code"] == "isolation_unavailable"
        else:
            assert json.loads(result["out"]) == ["inside"]


def limited(kind: str, most: int) -> tuple[str, ...]:
    """A command that runs another where only so many namespaces may be made."""
    limit = f"echo {most} > /proc/sys/user/max_{kind}_namespaces"
    shell = limit + ' && exec unshare -U --map-user=1000 --map-group=1000 -- "$0" "$@"'
    return ("unshare", "-U", "-r", "--", "sh", "-c", shell)


def test_the_refusal_names_the_limit_and_the_remedy(run_isolated: Run) -> None:
    result = run_isolated("rootless", {"code": "print(1)"}, prefix=limited("user", 1))
    error = result["error"]
    assert error["code"] == "isolation_unavailable"
    assert "user namespace" in error["error"]
    assert "No space left on device" in error["error"]
    assert "user.max_user_namespaces" in error["hint"]
    assert "clove doctor" in error["hint"]
    assert result["left"] == []


def test_less_isolation_is_only_had_by_asking_and_is_reported(run_isolated: Run) -> None:
    asked = {"code": "print(1)"}
    refused = run_isolated("rootless", asked, prefix=limited("net", 0))
    assert "network namespace" in refused["error"]["error"]
    assert "max_net_namespaces" in refused["error"]["hint"]
    degraded = run_isolated("rootless", {**asked, "allow_degraded": True}, prefix=limited("net", 0))
    assert degraded["out"] == "1\n"
    own = degraded["isolation"]["namespaces"]
    assert own == {"pid": True, "net": False, "mnt": True, "uts": True, "ipc": True, "user": True}
    assert "network namespace" in degraded["isolation"]["degraded_reason"]
    assert degraded["isolation"]["fully_isolated"] is False


def test_nothing_can_be_typed_into_the_terminal_of_the_kernel(who: str, run_isolated: Run) -> None:
    code = """
import errno, fcntl, json, os
found = []
for path in ("/dev/tty", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"):
    for request, argument in ((0x5412, b"x"), (0x541C, b"\\x02\\x00")):  # TIOCSTI, TIOCLINUX
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(descriptor, request, argument)
        except OSError as error:
            found.append(errno.errorcode[error.errno])
        else:
            found.append(path)
print(json.dumps(found))
"""
    master, slave = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    try:
        result = run_isolated(who, {"code": code}, preexec_fn=take_terminal, pass_fds=(slave,))
    finally:
        os.close(master)
        os.close(slave)
    assert set(json.loads(result["out"])) <= {"ENXIO", "ENOTTY", "EACCES", "EPERM"}


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_resource_limits_hold_a_fork_bomb(who: str, run_isolated: Run) -> None:
    code = """
import os
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            os.read(os.open("/dev/zero", 0), 1) and __import__("signal").pause()
        count += 1
except OSError as error:
    print(count, error.errno)
"""
    result = run_isolated(who, {"code": code, "rlimits": {"nproc": 20}})
    count, number = result["out"].split()
    assert int(count) < 20
    assert int(number) == 11


def test_processes_on_the_host_do_not_outlive_a_killed_kernel(who: str, open_dir: str) -> None:
    """Those in sandboxes are in test_cgroup_attacks.py."""
    fifo = f"{open_dir}/alive"
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    code = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
held = os.open(sys.argv[1], os.O_WRONLY)
os.write(held, b"x")
while True:
    signal.pause()
"""
    asked = {"code": code, "args": [fifo], "directory": open_dir, "namespaces": []}
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writer = os.open(fifo, os.O_WRONLY)  # there is somebody to wait for from the beginning
        try:
            with started(who, asked):
                for _ in range(2):
                    assert select.select([reader], [], [], READY_SECONDS)[0], "it did not start"
                    assert os.read(reader, 1) == b"x"
        finally:
            os.close(writer)
        assert select.select([reader], [], [], READY_SECONDS)[0], "somebody lives on"
        assert os.read(reader, 1) == b""  # nobody holds the other end any more
    finally:
        os.close(reader)
