"""Where Linux has no filter, or the network is the host's: what still holds, and what is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.adversary.isolated import RunIsolated as Run


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
