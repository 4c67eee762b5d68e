"""Ordinary work goes on under the filter and Landlock, in the main program and in commands."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
Run = Callable[..., Any]


def ran(run_isolated: Run, who: str, script: str, **options: Any) -> dict[str, Any]:
    result = run_isolated(who, {"code": (HERE / script).read_text(), **options})
    assert result.get("code") == 0, result
    found: dict[str, Any] = json.loads(result["out"])
    return found


@pytest.fixture(
    scope="module",
    params=[("root", False), ("root", True), ("rootless", False), ("rootless", True)],
    ids=["root-main", "root-command", "rootless-main", "rootless-command"],
)
def work(request: pytest.FixtureRequest, run_isolated: Run) -> dict[str, Any]:
    """What the work came to."""
    who, as_command = request.param
    return ran(run_isolated, who, "ordinary_calls.py", as_command=as_command)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pools", [[1, 2], [1, 2]]),
        ("semaphores", 200),
        ("process_executor", [0, 1, 4]),
        ("asyncio_subprocess", "hello"),
        ("asyncio_thread", 9),
        ("names", True),
        ("numeric_name", 80),
        ("tls", True),
        ("datagrams", "x"),
        ("passed_descriptor", 1),
        ("abstract_socket", True),
        ("moves_between_directories", "xxx"),
        ("archive", "0o100755"),
        ("sticky_directory", True),
        ("fifo", True),
        ("locks", True),
        ("own_proc", "worker"),
        ("shell_redirections", ["two\ntwo\nthree\n", 0]),
        ("unnamed_file", True),
        ("program_in_memory", "ran\n"),
        ("process_descriptor", 15),
        ("timers", True),
        ("priorities", True),
        ("executable_memory", 25),
        ("git_history", "1\n"),
        ("arrays", 6.0),
    ],
)
def test_work_goes_on(work: dict[str, Any], name: str, expected: Any) -> None:
    assert work[name] == expected


@pytest.mark.parametrize("who", ["root", "rootless"])
def test_a_command_can_do_what_the_main_program_can(run_isolated: Run, who: str) -> None:
    as_main = ran(run_isolated, who, "isolation_ordinary.py")
    as_command = ran(run_isolated, who, "isolation_ordinary.py", as_command=True)
    assert as_command == as_main


@pytest.mark.parametrize("who", ["root", "rootless"])
def test_names_are_looked_up_with_the_hosts_network(run_isolated: Run, who: str) -> None:
    code = "import socket; print(sorted({r[4][0] for r in socket.getaddrinfo('localhost', 80)})[0])"
    everything = ("user", "pid", "mnt", "ipc", "uts", "cgroup")
    result = run_isolated(who, {"code": code, "namespaces": everything})
    assert result["out"].strip() in ("127.0.0.1", "::1"), result


@pytest.mark.parametrize("who", ["root", "rootless"])
def test_without_filters_in_linux_the_launch_fails_and_names_them(
    run_isolated: Run, who: str
) -> None:
    error = run_isolated(who, {"code": "print(1)", "lacking": "seccomp"})["error"]
    assert error["code"] == "isolation_unavailable"
    assert "a system call filter cannot be had" in error["error"]
    assert "CONFIG_SECCOMP_FILTER" in error["hint"]
    asked = {"code": "print(1)", "lacking": "seccomp", "allow_degraded": True}
    less = run_isolated(who, asked)
    assert less["out"] == "1\n"
    assert less["isolation"]["seccomp"] is False
    assert less["isolation"]["fully_isolated"] is False
    assert "a system call filter" in less["isolation"]["degraded_reason"]
    assert all(less["isolation"]["namespaces"].values())


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_program_on_the_host_has_no_filter(run_isolated: Run) -> None:
    code = "print([r.split()[1] for r in open('/proc/self/status') if r.startswith('Seccomp:')])"
    result = run_isolated("rootless", {"code": code, "namespaces": []})
    here = next(
        row.split()[1]
        for row in Path("/proc/self/status").read_text().splitlines()
        if row.startswith("Seccomp:")
    )
    assert result["out"].strip() == f"['{here}']"
    assert result["isolation"]["seccomp"] is False
    assert result["isolation"]["landlock"] is False
