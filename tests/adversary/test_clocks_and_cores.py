"""What an agent sees of the time, and what becomes of it when it crashes."""

from __future__ import annotations

import calendar
import shutil
import time
from typing import Any

import pytest

from tests.adversary.arena import Arena

CLOCKS = """
import json, os, subprocess, time

def start(pid):
    ticks = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")

def boot():
    for line in open("/proc/stat"):
        if line.startswith("btime"):
            return int(line.split()[1])

child = subprocess.Popen(["sleep", "60"])
listed = subprocess.run(
    ["ps", "-o", "pid=,lstart=", "-A"], capture_output=True, text=True,
    env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
).stdout if os.path.exists("/usr/bin/ps") else ""
print(json.dumps({
    "now": time.time(),
    "up": float(open("/proc/uptime").read().split()[0]),
    "boottime": time.clock_gettime(time.CLOCK_BOOTTIME),
    "monotonic": time.monotonic(),
    "boot": boot(),
    "started": {pid: boot() + start(pid) for pid in (1, os.getpid(), child.pid)},
    "child": child.pid,
    "listed": {int(line.split()[0]): line.split(None, 1)[1] for line in listed.splitlines()},
}))
child.kill()
child.wait()
"""
ROUNDING = 1.1
"""Seconds: btime has no fraction (proc_stat(5)), and a tick is 10 ms."""


@pytest.fixture(scope="module")
def clocks(arena: Arena) -> dict[str, Any]:
    before = time.time()
    found: dict[str, Any] = arena.run(CLOCKS)
    found["before"] = before
    return found


def test_processes_have_started_when_they_have(clocks: dict[str, Any]) -> None:
    started = {int(pid): when for pid, when in clocks["started"].items()}
    child = clocks["child"]
    assert clocks["before"] - ROUNDING < started[child] < clocks["now"] + ROUNDING
    for when in started.values():  # a warm one was made before it was wanted
        assert clocks["now"] - clocks["up"] - ROUNDING < when < clocks["now"] + ROUNDING
    assert min(started.values()) == started[1]


def test_the_time_since_the_start_agrees_with_it(clocks: dict[str, Any]) -> None:
    assert abs(clocks["now"] - clocks["up"] - clocks["boot"]) < ROUNDING
    assert abs(clocks["boottime"] - clocks["up"]) < ROUNDING
    assert 0 <= clocks["monotonic"] < clocks["boottime"] + ROUNDING
    assert abs(clocks["started"]["1"] - clocks["boot"]) < ROUNDING


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps (procps)")
def test_ps_tells_the_same(clocks: dict[str, Any]) -> None:
    listed = clocks["listed"]
    for pid, when in clocks["started"].items():
        told = time.strptime(listed[pid].strip(), "%a %b %d %H:%M:%S %Y")
        assert abs(calendar.timegm(told) - when) < 2 * ROUNDING


CRASH = """
import json, os, resource, signal, subprocess
told = []
for limit in ((0, 0), (0, 1), (-1, -1)):
    resource.setrlimit(resource.RLIMIT_CORE, limit)
    told.append(resource.getrlimit(resource.RLIMIT_CORE))
resource.prlimit(1, resource.RLIMIT_CORE, (0, 0))
told.append(resource.prlimit(1, resource.RLIMIT_CORE))
code = subprocess.run(["sh", "-c", "ulimit -c 0 || exit 3; kill -SEGV $$"]).returncode
pid = os.fork()
if pid == 0:
    os.abort()
_, status = os.waitpid(pid, 0)
print(json.dumps({"told": told, "code": code, "core": os.WCOREDUMP(status)}))
"""


def test_no_crash_leaves_a_core_or_runs_the_host_s_handler(arena: Arena) -> None:
    # core(5): a limit of 0 is ignored where cores are piped; at 1 nothing is (fs/coredump.c).
    found = arena.run(CRASH)
    assert found["told"] == [[1, 1]] * 4
    assert found["code"] == -11
    assert found["core"] is False
