"""UPDATE: new limits of a running agent, at once or from its next start on, within its parent's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import InvalidRequest, IsolationUnavailable
from tests.integration.commands import clove
from tests.integration.conftest import SLEEP, until_up

__all__ = ["clove"]

ROOM = (
    "import os, time\nfound = os.statvfs('/tmp')\n"
    "print(found.f_blocks * found.f_frsize, flush=True)\ntime.sleep(100)\n"
)
MEBI = 1 << 20


def test_sizes_of_file_systems_hold_from_the_next_start_on(
    client: CloveClient, script: Any
) -> None:
    client.spawn("roomy", script(ROOM))
    lines = client.follow_logs("roomy")
    assert int(next(lines)["text"]) > 8 * MEBI
    reply = client.update_limits("roomy", {"tmp": 8 * MEBI})
    assert (reply["applied"], reply["at_restart"]) == ([], ["tmp"])
    assert reply["limits"]["tmp"] == 8 * MEBI
    client.restart("roomy", grace=0)
    assert int(next(lines)["text"]) == 8 * MEBI
    assert client.inspect("roomy")["limits"]["tmp"] == 8 * MEBI


def test_memory_and_processes_bind_at_once_where_there_is_a_cgroup(
    client: CloveClient, script: Any
) -> None:
    client.spawn("bounded", script(SLEEP), allow_degraded=True)
    until_up(client, "bounded")
    reply = client.update_limits("bounded", {"memory": 512 * MEBI, "max_pids": 99})
    assert (reply["limits"]["memory"], reply["limits"]["max_pids"]) == (512 * MEBI, 99)
    assert sorted(reply["applied"] + reply["at_restart"]) == ["max_pids", "memory"]
    found = client.inspect("bounded")
    cgroup = found["cgroup"]
    if cgroup is not None and found["isolation"]["cgroups"]["memory_limit"]:
        assert Path(cgroup, "memory.max").read_text().strip() == str(512 * MEBI)
        with pytest.raises(InvalidRequest, match="would kill"):
            client.update_limits("bounded", {"memory": MEBI})
    else:
        assert "memory" in reply["applied"]  # it is watched


def test_what_the_host_cannot_enforce_is_refused(client: CloveClient, script: Any) -> None:
    client.spawn("strict", script(SLEEP))
    until_up(client, "strict")
    if client.inspect("strict")["isolation"]["cgroups"]["memory_limit"]:
        pytest.skip("this host has a cgroup for it")
    with pytest.raises(IsolationUnavailable):
        client.update_limits("strict", {"memory": 512 * MEBI})
    assert client.inspect("strict")["limits"]["memory"] == 256 * MEBI


def test_no_limit_or_a_misspelt_one_is_refused(client: CloveClient, script: Any) -> None:
    client.spawn("plain", script(SLEEP))
    with pytest.raises(InvalidRequest, match="names none"):
        client.update_limits("plain", {})
    with pytest.raises(InvalidRequest) as caught:
        client.update_limits("plain", {"memroy": 1})
    assert "memory" in caught.value.hint


PARENT = """
import sys
from clove import CloveClient
from clove.errors import CloveError
client = CloveClient(sys.argv[1])
open("child.py", "w").write("import time; time.sleep(100)")
client.spawn("child", "/workspace/child.py")
for name, limits in (("child", {"tmp": 1 << 20}), ("child", {"tmp": 1 << 40}),
                     ("parent", {"tmp": 1 << 20}), ("other", {"tmp": 1 << 20})):
    try:
        print(client.update_limits(name, limits)["limits"]["tmp"])
    except CloveError as error:
        print(error.rule)
print("up", flush=True)
"""


def test_a_parent_changes_its_children_within_its_own_limits(
    client: CloveClient, script: Any
) -> None:
    sleep = script(SLEEP)
    client.spawn("other", sleep)
    client.spawn(
        "parent",
        script(PARENT),
        permissions={"can_spawn": True},
    )
    client.wait("parent", timeout=30)
    lines = [line["text"] for line in client.logs("parent")["lines"]]
    assert lines == [str(MEBI), "limits.tmp", "ancestry", "ancestry", "up"]


LOWERED = """
import sys
from clove import CloveClient
client = CloveClient(sys.argv[1])
open("child.py", "w").write("import time; time.sleep(100)")
client.spawn("small", "/workspace/child.py", limits={"tmp": 4 << 20})
print("up", flush=True)
import time; time.sleep(100)
"""


def test_no_agent_gets_less_than_its_children_have(client: CloveClient, script: Any) -> None:
    client.spawn("great", script(LOWERED), permissions={"can_spawn": True})
    until_up(client, "great")
    with pytest.raises(InvalidRequest, match="'small'"):
        client.update_limits("great", {"tmp": 2 * MEBI})
    assert client.update_limits("great", {"tmp": 4 * MEBI})["limits"]["tmp"] == 4 * MEBI
    client.kill("small")
    assert client.update_limits("great", {"tmp": 2 * MEBI})["limits"]["tmp"] == 2 * MEBI


def test_the_command_says_what_holds_when(clove: Any, client: CloveClient, script: Any) -> None:
    client.spawn("updated", script(SLEEP))
    result = clove("update", "--tmp", "8M", "--shm", "4M", "updated")
    assert result.stdout == "updated updated (from its next start on: shm, tmp)\n"
    assert client.inspect("updated")["limits"]["shm"] == 4 * MEBI
    assert clove("update", "updated").returncode == 2
    assert clove("update", "--cpus", "0", "updated").returncode == 2
    assert clove("update", "--tmp", "8M", "nobody").returncode == 1
