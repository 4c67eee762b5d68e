"""What an agent may use, enforced by cgroup v2: memory, processes, CPU."""

from __future__ import annotations

from typing import Any

import pytest

from clove import CloveClient
from clove.errors import InvalidRequest, LimitExceeded
from clove.sandbox.cgroup.tree import cpu_weight
from tests.vm.conftest import Unit, cgroup_of, table, until, words
from tests.vm.sleeping import SLEEP, until_says

NAMED = {
    "memory": 96 << 20,
    "max_pids": 16,
    "cpu_quota": 20_000,
    "cpu_period": 50_000,
    "cpu_shares": 2048,
}
EATER = (  # a child in a session of its own must die with the one that eats
    "import subprocess\n"
    "subprocess.Popen(['setsid', 'sleep', '1000'])\n"
    "print('up', flush=True)\n"
    "eaten = []\n"
    "while True:\n"
    "    eaten.append(b'x' * (4 << 20))\n"
)
HOLDER = (  # 24 MiB, and without end once it may
    "import os, time\n"
    "eaten = [b'x' * (24 << 20)]\n"
    "print('up', flush=True)\n"
    "while not os.path.exists('/workspace/go'):\n"
    "    time.sleep(0.05)\n"
    "while True:\n"
    "    eaten.append(b'x' * (4 << 20))\n"
)
BOMB = (
    "import os, time\n"
    "print('up', flush=True)\n"
    "while True:\n"
    "    if os.fork() == 0:\n"
    "        time.sleep(1000)\n"
)
CATCHER = (
    "import os, time\n"
    "try:\n"
    "    while os.fork():\n"
    "        pass\n"
    "    time.sleep(1000)\n"
    "except BlockingIOError:\n"
    "    print('refused', flush=True)\n"
    "    time.sleep(1000)\n"
)
SPIN = "while True: pass\n"


def said(client: CloveClient, name: str) -> str:
    """All that an agent has printed."""
    return "\n".join(line["text"] for line in client.logs(name)["lines"])


def test_the_default_limits_are_enforced(client: CloveClient, unit: Unit) -> None:
    agent = client.spawn("default", unit.script(SLEEP))
    place = cgroup_of(agent["pid"])
    assert words(place / "memory.max") == [str(256 << 20)]
    assert words(place / "pids.max") == ["64"]
    assert words(place / "cpu.max") == ["100000", "100000"]
    assert words(place / "memory.swap.max") == ["0"]
    assert words(place / "memory.oom.group") == ["1"]
    assert words(place / "cgroup.max.descendants") == ["0"]


def test_limits_asked_for_by_name_hold_and_the_reply_says_so(
    client: CloveClient, unit: Unit
) -> None:
    agent = client.spawn("named", unit.script(SLEEP), limits=NAMED)
    report: dict[str, Any] = agent["isolation"]
    assert report["cgroups"] == {
        "available": True,
        "memory_limit": True,
        "cpu_quota": True,
        "pids_limit": True,
    }
    assert all(report["namespaces"].values())
    assert report["fully_isolated"] is True
    assert "degraded_reason" not in report
    place = cgroup_of(agent["pid"])
    assert words(place / "memory.max") == [str(96 << 20)]
    assert words(place / "pids.max") == ["16"]
    assert words(place / "cpu.max") == ["20000", "50000"]
    assert int(words(place / "cpu.weight")[0]) > 100


def test_limits_of_a_running_agent_are_changed_in_its_cgroup(
    client: CloveClient, unit: Unit
) -> None:
    agent = client.spawn("changed", unit.script(SLEEP))
    until_says(client, "changed", "up")
    place = cgroup_of(agent["pid"])
    reply = client.update_limits("changed", NAMED)
    assert (sorted(reply["applied"]), reply["at_restart"]) == (sorted(NAMED), [])
    assert {name: reply["limits"][name] for name in NAMED} == NAMED
    assert words(place / "memory.max") == [str(NAMED["memory"])]
    assert words(place / "pids.max") == ["16"]
    assert words(place / "cpu.max") == ["20000", "50000"]
    assert words(place / "cpu.weight") == [str(cpu_weight(2048))]
    assert cgroup_of(agent["pid"]) == place  # the same process, where it was


def test_a_changed_limit_is_enforced_on_what_runs_already(client: CloveClient, unit: Unit) -> None:
    """And an agent that would die of less memory keeps what it has."""
    agent = client.spawn("later", unit.script(HOLDER))
    until_says(client, "later", "up")
    with pytest.raises(InvalidRequest, match="would kill"):
        client.update_limits("later", {"memory": 16 << 20})
    assert words(cgroup_of(agent["pid"]) / "memory.max") == [str(256 << 20)]
    client.update_limits("later", {"memory": 64 << 20})
    client.write_file("/workspace/go", "", agent="later")
    assert client.wait("later", timeout=90)["reason"] == "oom"


def test_disks_are_shared_by_the_same_weight_where_io_is_given(
    client: CloveClient, unit: Unit
) -> None:
    """A user's own systemd has not been given it; there the rest holds and nobody complains."""
    given = "io" in words(unit.base / "cgroup.controllers")
    assert given == (unit.name != "kown")
    for name, shares in (("usual", 1024), ("heavy", 262_144)):
        agent = client.spawn(name, unit.script(SLEEP), limits={"cpu_shares": shares})
        assert agent["isolation"]["fully_isolated"] is True
        place = cgroup_of(agent["pid"])
        weights = [place / file for file in ("io.weight", "io.bfq.weight")]
        there = [words(file)[:2] for file in weights if file.exists()]
        expected = [["default", "10000"], ["default", "1000"]]
        if name == "usual":
            expected = [["default", "100"]] * 2
        assert there == (expected if given else [])


def test_an_unsandboxed_agent_is_limited_too_and_not_called_isolated(
    client: CloveClient, unit: Unit
) -> None:
    script = unit.script(EATER)
    agent = client.spawn("free", script, sandboxed=False, limits={"memory": 64 << 20})
    report = agent["isolation"]
    assert report["cgroups"]["memory_limit"] is True
    assert report["fully_isolated"] is False
    assert client.wait("free", timeout=90)["reason"] == "oom"


def test_over_its_memory_the_whole_agent_is_killed_and_told_apart(
    client: CloveClient, unit: Unit
) -> None:
    client.subscribe("AGENT_EXITED")
    agent = client.spawn("eater", unit.script(EATER), limits={"memory": 64 << 20})
    place = unit.base / f"clove-{unit.pid}" / f"agent-{agent['id']}"
    ended = client.wait("eater", timeout=90)
    assert (ended["exit_code"], ended["signal"], ended["reason"]) == (None, 9, "oom")
    [event] = client.poll_events()["events"]
    assert event["data"]["reason"] == "oom"
    assert "memory limit" in said(client, "eater")
    until(lambda: not place.exists(), "the setsid child is dead and the cgroup is removed")


def test_each_run_of_a_restarted_agent_is_judged_by_itself(client: CloveClient, unit: Unit) -> None:
    second = "import os, sys\nif os.path.exists('ran'): sys.exit(3)\nopen('ran', 'w').close()\n"
    client.subscribe("AGENT_EXITED")
    client.spawn(
        "twice",
        unit.script(second + EATER),
        limits={"memory": 64 << 20},
        restart_policy="on-failure",
        max_restarts=1,
    )
    assert client.wait("twice", timeout=90)["reason"] == "escalated"
    told = [event["data"] for event in client.poll_events()["events"]]
    ends = [(data["exit_code"], data["signal"], data["reason"]) for data in told]
    assert ends == [(None, 9, "oom"), (3, None, "escalated")]


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"memory": 1 << 20}, "memory limit of 1048576 bytes"),
        ({"max_pids": 1}, "limit of 1 processes and threads"),
    ],
    ids=["memory", "pids"],
)
def test_a_limit_that_no_program_fits_into_fails_the_spawn(
    client: CloveClient, unit: Unit, limits: dict[str, int], named: str
) -> None:
    with pytest.raises(LimitExceeded, match=named):
        client.spawn("tiny", unit.script(SLEEP), limits=limits)
    assert [agent["name"] for agent in client.list_agents()] == []


def test_a_fork_bomb_ends_with_the_limit_as_its_reason(client: CloveClient, unit: Unit) -> None:
    client.spawn("bomb", unit.script(BOMB), limits={"max_pids": 16})
    assert client.noop(b"still here") == b"still here"
    ended = client.wait("bomb", timeout=90)
    assert (ended["exit_code"], ended["reason"]) == (1, "pids")
    assert "limit of 16 processes" in said(client, "bomb")


def test_forks_over_the_limit_are_refused_and_counted(client: CloveClient, unit: Unit) -> None:
    agent = client.spawn("catcher", unit.script(CATCHER), limits={"max_pids": 12})
    until_says(client, "catcher", "refused")
    metrics = client.get_cgroup_metrics(str(cgroup_of(agent["pid"])))["metrics"]
    assert metrics["pids"]["current"] == metrics["pids"]["max"] == 12
    assert table(cgroup_of(agent["pid"]) / "pids.events")["max"] >= 1
    ended = client.kill("catcher")
    assert ended["killed"] is True
    assert client.wait("catcher", timeout=90)["reason"] == "killed"


def test_an_agent_over_its_share_of_cpu_is_throttled(client: CloveClient, unit: Unit) -> None:
    agent = client.spawn("spin", unit.script(SPIN), limits={"cpu_quota": 10_000})
    stat = cgroup_of(agent["pid"]) / "cpu.stat"
    until(lambda: table(stat)["nr_throttled"] > 2, "the spinning agent is throttled")
    metrics = client.get_cgroup_metrics(str(stat.parent))["metrics"]
    assert metrics["cpu"]["nr_throttled"] > 2
    assert (metrics["cpu"]["quota_usec"], metrics["cpu"]["period_usec"]) == (10_000, 100_000)


def test_metrics_tell_what_an_agent_uses(client: CloveClient, unit: Unit) -> None:
    agent = client.spawn("used", unit.script(SLEEP), limits=NAMED)
    until_says(client, "used", "up")
    metrics = client.get_agent_metrics(agent["id"])["metrics"]
    assert metrics["cgroup"]["valid"] is True
    assert metrics["cgroup"]["cpu_usage_usec"] > 0
    assert 0 < metrics["cgroup"]["mem_current"] <= NAMED["memory"]
    figures = client.get_cgroup_metrics(str(cgroup_of(agent["pid"])))["metrics"]
    assert figures["memory"]["max"] == NAMED["memory"]
    assert 0 < figures["memory"]["current"] <= figures["memory"]["peak"]
    assert 0 < figures["pids"]["current"] <= figures["pids"]["max"] == NAMED["max_pids"]
    assert figures["cpu"]["usage_usec"] > 0
