"""Landlock around a real sandbox: a second wall, reported as it is, missed by nobody."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove.sandbox.inside import landlock

Run = Callable[..., Any]
ABI = landlock.abi()
HOST_NETWORK = ("user", "pid", "mnt", "ipc", "uts", "cgroup")
TRY = """
import errno, sys
for action in sys.argv[1:]:
    try:
        print(eval(action))
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.fixture(params=["root", "rootless"])
def who(request: pytest.FixtureRequest) -> str:
    """Whose kernel it is."""
    return str(request.param)


@pytest.fixture
def abstract() -> Iterator[str]:
    """The name of an abstract socket of the host's that takes connections."""
    name = f"clove-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        yield name


def tried(run_isolated: Run, who: str, *actions: str, **asked: Any) -> list[str]:
    """What each expression came to in one sandbox: its value, or the name of an errno."""
    result = run_isolated(who, {"code": TRY, "args": actions, **asked})
    assert result.get("code") == 0, result
    found: list[str] = result["out"].splitlines()
    return found


def connecting(name: str) -> str:
    return f"__import__('socket').socket(1).connect('\\0{name}')"


def test_the_report_says_whether_linux_has_it(run_isolated: Run, who: str) -> None:
    result = run_isolated(who, {"code": "print(1)"})
    assert result["isolation"]["landlock"] is (ABI >= landlock.LEAST_ABI)


def test_a_linux_without_it_is_no_failure(run_isolated: Run, who: str) -> None:
    result = run_isolated(who, {"code": "print(1)", "lacking": "landlock"})
    assert result["out"] == "1\n"
    assert result["isolation"]["landlock"] is False
    assert result["isolation"]["seccomp"] is True
    assert "degraded_reason" not in result["isolation"]


@pytest.mark.skipif(ABI < landlock.LEAST_ABI, reason="this Linux has no Landlock of ABI 2 or later")
def test_it_holds_without_the_filter(run_isolated: Run, who: str) -> None:
    """Linux lets everybody make whiteouts, character devices of number 0."""
    action = "__import__('os').mknod('/workspace/device', 0o020600, 0)"
    alone = {"seccomp": False}
    assert tried(run_isolated, who, action, spec=alone) == ["EACCES"]
    neither = {"seccomp": False, "landlock": False}
    assert tried(run_isolated, who, action, spec=neither) == ["None"]


@pytest.mark.skipif(ABI < landlock.SCOPES_ABI, reason="this Linux has no Landlock of ABI 6")
def test_abstract_sockets_of_the_host_are_out_of_reach_even_with_its_network(
    run_isolated: Run, who: str, abstract: str
) -> None:
    asked: dict[str, Any] = {"namespaces": HOST_NETWORK}
    assert tried(run_isolated, who, connecting(abstract), **asked) == ["EPERM"]
    asked["spec"] = {"landlock": False}
    assert tried(run_isolated, who, connecting(abstract), **asked) == ["None"]


def test_path_sockets_that_are_bound_inside_can_be_connected_to(
    run_isolated: Run, who: str, short_dir: str
) -> None:
    os.chmod(short_dir, 0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short_dir}/s")
        server.listen()
        os.chmod(f"{short_dir}/s", 0o666)
        bind = {"source": f"{short_dir}/s", "target": "/tmp/clove.sock", "writable": True}
        action = "__import__('socket').socket(1).connect('/tmp/clove.sock')"
        assert tried(run_isolated, who, action, binds=[bind]) == ["None"]


def test_a_writable_bind_of_a_file_can_be_written_and_nothing_beside_it(
    run_isolated: Run, who: str, short_dir: str
) -> None:
    os.chmod(short_dir, 0o777)
    for name in ("one", "two"):
        with open(f"{short_dir}/{name}", "w") as file:
            file.write(name)
        os.chmod(f"{short_dir}/{name}", 0o666)
    binds = [
        {"source": f"{short_dir}/one", "target": "/data/one", "writable": True},
        {"source": f"{short_dir}/two", "target": "/data/two"},
    ]
    write = "open('/data/{}', 'r+').write('x')"
    actions = [write.format("one"), write.format("two"), "open('/data/new', 'w')"]
    one, two, new = tried(run_isolated, who, *actions, binds=binds)
    assert one == "1"
    assert {two, new} <= {"EROFS", "EACCES"}


EXECUTE = """
import errno, os, subprocess
for path in ("/tmp/x", "/dev/shm/x", "/data/x", "/workspace/x"):
    with open(path, "w") as file:
        file.write("#!/bin/sh\\n")
    os.chmod(path, 0o700)
for path in ("/tmp/x", "/dev/shm/x", "/data/x", "/workspace/x", "/usr/bin/true"):
    try:
        print(subprocess.run([path]).returncode)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.mark.parametrize("lacking", ["", "landlock"])
def test_what_is_not_named_as_executable_cannot_be_executed(
    run_isolated: Run, who: str, short_dir: str, lacking: str
) -> None:
    """Without Landlock the mounts still say so of what can be written."""
    os.chmod(short_dir, 0o777)
    names = (sys.executable, "/usr/bin/python3", "/bin/sh", "/lib", "/lib64")
    alone = sorted({os.path.realpath(name) for name in names})
    result = run_isolated(
        who,
        {
            "code": EXECUTE,
            "spec": {"executables": [*alone, "/workspace"]},
            "binds": [{"source": short_dir, "target": "/data", "writable": True, "noexec": True}],
            "lacking": lacking,
        },
    )
    assert result.get("code") == 0, result
    held = ABI >= landlock.LEAST_ABI and not lacking
    assert result["out"].split() == [*["EACCES"] * 3, "0", "EACCES" if held else "0"]
