"""Agents have no larger part of the processors than others, whoever set their sandboxes up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clove.sandbox.time_slice import SLICE
from tests.adversary.arena import Arena
from tests.integration.conftest import SLEEP
from tests.time_slices import known_slices, read_attributes

AUTOGROUP = "/proc/self/autogroup"
THREADS = 8 + 4
"""Of the kernel's pool, beside its main one."""

SESSIONS = """
import json, os, subprocess
from clove import CloveClient

def group(pid):
    with open(f"/proc/{pid}/autogroup") as file:
        return file.read().strip()

child = subprocess.Popen(["sleep", "60"], start_new_session=True)
with CloveClient() as client:
    command = client.exec(["cat", "/proc/self/autogroup"])["stdout"].strip()
told = [group(1), group("self"), group(child.pid), command]
child.kill()
child.wait()
try:
    with open("/proc/self/autogroup", "w") as file:
        file.write("-1")
    told.append("more was granted")
except PermissionError:
    pass
print(json.dumps({"groups": told, "nice": os.nice(0), "policy": os.sched_getscheduler(0)}))
"""


@pytest.mark.skipif(not os.path.exists(AUTOGROUP), reason="this Linux has no autogroups")
def test_no_session_of_an_agent_weighs_more_than_others(arena: Arena) -> None:
    found = arena.run(SESSIONS, permissions={"can_exec": True})
    mine = Path(AUTOGROUP).read_text().split()[:1]  # empty below a process 1 that leads no session
    assert [group.split(" ", 1)[1] for group in found["groups"]] == ["nice 0"] * 4
    assert len({group.split()[0] for group in found["groups"]}.union(mine)) == 4 + len(mine)
    assert found["nice"] >= 0
    assert found["policy"] == os.SCHED_BATCH


@pytest.mark.skipif(not known_slices(), reason="Linux before 6.12 has no slices to choose")
def test_the_kernels_threads_run_soon_after_they_wake_and_agents_do_not_have_that(
    here: Arena,
) -> None:
    kernel = here.kernel.pid
    tasks = [int(task.name) for task in Path(f"/proc/{kernel}/task").iterdir()]
    short = {task for task in tasks if read_attributes(task).slice == SLICE}
    assert kernel in short
    assert len(short) == 1 + THREADS
    mine = read_attributes().slice
    for sandboxed in (True, False):
        agent = here.begin(SLEEP, sandboxed=sandboxed)
        assert read_attributes(agent["pid"]).slice == mine
