"""INSPECT, RESTART, SIGNAL, RENAME and PRUNE, KILL's grace, and what LIST knows of ended agents."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import AlreadyExists, CloveError, InvalidRequest, NotFound
from tests.integration.conftest import BOTH, SLEEP, STUBBORN, KernelProcess, until_up
from tests.waiting import until

HANDLES = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGUSR1, lambda *_: print('told', flush=True))\n"
    "if os.fork() == 0:\n    while True: signal.pause()\n"
    "print('up', flush=True)\nwhile True: time.sleep(100)\n"
)
MEMORY = 64 << 20


def texts(client: CloveClient, name: str | int) -> list[str]:
    return [line["text"] for line in client.logs(name)["lines"]]


def entry(client: CloveClient, agent_id: int) -> Any:
    [found] = [one for one in client.list_agents(all=True) if one["id"] == agent_id]
    return found


@BOTH
def test_an_ended_agent_stays_in_the_list_with_how_it_ended(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    agent = client.spawn("seven", script("raise SystemExit(7)"), sandboxed=sandboxed)
    client.wait(agent["id"])
    assert "seven" not in [one["name"] for one in client.list_agents()]
    found = entry(client, agent["id"])
    assert (found["name"], found["state"], found["pid"]) == ("seven", "exited", 0)
    ended = found["ended"]
    assert (ended["exit_code"], ended["signal"], ended["reason"], ended["limit"]) == (
        7,
        None,
        "exited",
        None,
    )
    assert ended["ms_ago"] >= 0


def test_a_live_agent_has_no_end(client: CloveClient, script: Any) -> None:
    agent = client.spawn("alive", script(SLEEP))
    assert "ended" not in entry(client, agent["id"])


def test_the_limit_that_ended_an_agent_is_named(client: CloveClient, script: Any) -> None:
    hungry = script("x = bytearray(200 << 20)\n")
    agent = client.spawn("hungry", hungry, limits={"memory": MEMORY}, allow_degraded=True)
    ended = client.wait(agent["id"])
    if ended["reason"] != "oom":
        pytest.skip("this host has no cgroup whose memory limit kills")
    assert ended["limit"] == {"name": "memory", "value": MEMORY}
    assert entry(client, agent["id"])["ended"]["limit"] == ended["limit"]


@BOTH
def test_inspect_says_what_was_asked_for_and_what_holds(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    path = script(SLEEP)
    agent = client.spawn(
        "looked-at",
        path,
        args=["--flag"],
        env={"TOKEN": "xyzzy"},
        sandboxed=sandboxed,
        restart_policy="on-failure",
        max_restarts=3,
    )
    seen = client.inspect("looked-at")
    assert seen["agent"]["id"] == agent["id"]
    assert (seen["script"], seen["args"], seen["env"]) == (path, ["--flag"], ["TOKEN"])
    assert "xyzzy" not in str(seen)
    assert (seen["restart_policy"], seen["max_restarts"]) == ("on-failure", 3)
    assert (seen["sandboxed"], seen["limits"]["max_pids"]) == (sandboxed, 64)
    assert seen["permissions"]["level"] == "standard"
    assert seen["isolation"] == agent["isolation"]
    client.kill("looked-at")
    seen = client.inspect("looked-at")
    assert (seen["agent"]["ended"]["reason"], seen["script"], seen["args"]) == ("killed", None, [])


@BOTH
def test_a_restarted_agent_is_the_same_agent_in_a_new_process(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    agent = client.spawn("again", script(SLEEP), sandboxed=sandboxed)
    until_up(client, "again")
    answer = client.restart("again")
    assert (answer["agent_id"], answer["restarts"]) == (agent["id"], 1)
    assert answer["pid"] not in (0, agent["pid"])
    assert entry(client, agent["id"])["state"] == "running"
    until(lambda: texts(client, "again").count("up") == 2, "it prints again")
    client.kill("again")
    with pytest.raises(NotFound, match="has ended: killed"):
        client.restart("again")


def test_a_paused_agent_can_be_restarted(client: CloveClient, script: Any) -> None:
    client.spawn("cold", script(STUBBORN))
    until_up(client, "cold")
    client.pause("cold")
    client.restart("cold", grace=0)
    assert [one["state"] for one in client.list_agents()] == ["running"]


@BOTH
def test_a_signal_reaches_the_main_program_alone(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    """Its child would die of it."""
    client.spawn("handler", script(HANDLES), sandboxed=sandboxed)
    until_up(client, "handler")
    assert client.send_signal("handler", "usr1")["signal"] == "SIGUSR1"
    until(lambda: "told" in texts(client, "handler"), "the handler runs")
    client.send_signal("handler", int(signal.SIGKILL))
    ended = client.wait("handler", timeout=30)
    assert (ended["signal"], ended["reason"]) == (9, "exited")


def test_signals_that_do_not_exist_or_would_pause_are_refused(
    client: CloveClient, script: Any
) -> None:
    client.spawn("deaf", script(SLEEP))
    with pytest.raises(InvalidRequest) as caught:
        client.send_signal("deaf", "SIGUSR11")
    assert "SIGUSR1" in caught.value.hint
    with pytest.raises(InvalidRequest, match="behind the kernel's back"):
        client.send_signal("deaf", "STOP")
    with pytest.raises(InvalidRequest, match="no signal 4711"):
        client.send_signal("deaf", 4711)
    client.pause("deaf")
    with pytest.raises(InvalidRequest) as caught:
        client.send_signal("deaf", "HUP")
    assert caught.value.hint == "resume it first"


def test_a_stubborn_agent_without_grace_ends_at_once(client: CloveClient, script: Any) -> None:
    client.spawn("stubborn", script(STUBBORN))
    until_up(client, "stubborn")
    assert client.kill("stubborn", grace=0)["killed"] is True
    assert client.wait("stubborn")["signal"] == 9


def test_a_renamed_agent_frees_its_name(client: CloveClient, script: Any) -> None:
    path = script("import time\nprint('up', flush=True)\ntime.sleep(100)")
    first = client.spawn("web", path)
    until_up(client, "web")
    answer = client.rename("web", "web-old")
    assert (answer["name"], answer["old_name"]) == ("web-old", "web")
    second = client.spawn("web", path)
    until_up(client, "web")
    with pytest.raises(AlreadyExists):
        client.rename("web", "web-old")
    with pytest.raises(InvalidRequest):
        client.rename("web", "no/slash")
    names = {one["name"]: one["id"] for one in client.list_agents()}
    assert names == {"web-old": first["id"], "web": second["id"]}
    assert client.send_message("hi", to_name="web-old")["delivered_to"] == first["id"]
    client.restart("web-old")
    assert entry(client, first["id"])["name"] == "web-old"
    client.kill("web-old")
    client.rename("web-old", "archived")
    assert client.wait("archived")["agent_id"] == first["id"]


def test_prune_forgets_what_has_ended_and_nothing_else(
    own_kernel: KernelProcess, tmp_path: Any
) -> None:
    quick, slow = tmp_path / "quick.py", tmp_path / "slow.py"
    quick.write_text("print('x')")
    slow.write_text(SLEEP)
    with CloveClient(own_kernel.socket) as client:
        for name in ("a", "b", "c"):
            client.spawn(name, str(quick))
            client.wait(name)
        alive = client.spawn("alive", str(slow))
        with pytest.raises(InvalidRequest, match="lives"):
            client.prune("alive")
        assert client.prune(older_than=3600)["count"] == 0
        assert client.prune("b")["count"] == 1
        with pytest.raises(NotFound):
            client.logs("b")
        assert client.prune()["count"] == 2
        assert [one["id"] for one in client.list_agents(all=True)] == [alive["id"]]
        client.kill("alive")


AGENT = """
import sys
from clove import CloveClient
from clove.errors import CloveError
client = CloveClient(sys.argv[1])
for ask in (client.inspect, client.restart, client.send_signal, client.prune,
            lambda name: client.rename(name, "mine")):
    try:
        ask("victim")
        print("done")
    except CloveError as error:
        print(error.code, error.rule)
print(client.prune()["count"], flush=True)
"""


def test_a_stranger_manages_nothing(client: CloveClient, script: Any) -> None:
    victim = client.spawn("victim", script(SLEEP))
    client.spawn("gone", script("pass"))
    client.wait("gone")
    client.spawn("stranger", script(AGENT))
    client.wait("stranger")
    assert texts(client, "stranger") == ["permission_denied ancestry"] * 5 + ["0"]
    assert entry(client, victim["id"])["restarts"] == 0
    assert client.inspect("gone")["agent"]["name"] == "gone"


def test_an_unknown_name_names_the_near_one(client: CloveClient, script: Any) -> None:
    client.spawn("researcher", script(SLEEP))
    with pytest.raises(CloveError) as caught:
        client.kill("reseacher")
    assert "did you mean researcher?" in caught.value.hint
