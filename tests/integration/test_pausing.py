"""PAUSE and RESUME, and what becomes of paused agents."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.integration.conftest import BOTH, SLEEP, until_up
from tests.waiting import until

TICKER = (
    "import time\nprint('up', flush=True)\n"
    "while True:\n    print(time.time(), flush=True)\n    time.sleep(0.001)\n"
)


def lines(client: CloveClient, name: str) -> int:
    """How many an agent has printed so far."""
    return int(client.logs(name)["next"])


def until_printed(client: CloveClient, name: str, more: int) -> None:
    """Wait until an agent has printed as many lines more."""
    wanted = lines(client, name) + more
    until(lambda: lines(client, name) >= wanted, f"{name} prints")


@BOTH
def test_a_paused_agent_stands_still_and_can_be_killed(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    """What another agent prints says how much this one would have printed."""
    path = script(TICKER)
    for name in ("ticker", "other"):
        client.spawn(name, path, sandboxed=sandboxed)
        until_up(client, name)
    assert client.pause("ticker")["paused"] is True
    [entry] = [entry for entry in client.list_agents() if entry["name"] == "ticker"]
    assert (entry["state"], entry["running"]) == ("paused", False)
    until_printed(client, "other", 20)  # what was in the pipe has arrived as well
    first = lines(client, "ticker")
    until_printed(client, "other", 50)
    assert lines(client, "ticker") == first
    assert client.resume("ticker")["resumed"] is True
    until_printed(client, "ticker", 1)
    client.pause("ticker")
    assert client.kill("ticker")["killed"] is True
    client.kill("other")
    assert client.list_agents() == []


@BOTH
@pytest.mark.parametrize("which", ["main", "init"])
def test_a_paused_agent_that_somebody_kills_has_ended(
    client: CloveClient, script: Any, sandboxed: bool, which: str
) -> None:
    agent = client.spawn("victim", script(SLEEP), sandboxed=sandboxed)
    until_up(client, "victim")
    client.pause("victim")
    os.kill(agent["pid"] if which == "main" else parent_of(agent["pid"]), signal.SIGKILL)
    ended = client.wait(agent["id"], timeout=30)
    assert (ended["signal"], ended["reason"]) == (9, "exited")
    assert client.list_agents() == []


def parent_of(pid: int) -> int:
    """Of an agent's main program: its init, or its helper on the host."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@BOTH
def test_a_paused_agent_that_somebody_kills_is_restarted_if_it_asked_for_that(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    agent = client.spawn("phoenix", script(SLEEP), sandboxed=sandboxed, restart_policy="on-failure")
    until_up(client, "phoenix")
    client.pause("phoenix")
    os.kill(agent["pid"], signal.SIGKILL)

    def restarted() -> Any:
        [entry] = client.list_agents()
        return entry["restarts"] and entry["state"] == "running" and entry

    entry = until(restarted, "it is restarted")
    assert entry["pid"] not in (0, agent["pid"])


@BOTH
def test_one_that_was_paused_and_runs_on_ends_as_any_other(
    client: CloveClient, script: Any, sandboxed: bool
) -> None:
    agent = client.spawn("sleeper", script(SLEEP), sandboxed=sandboxed)
    until_up(client, "sleeper")
    client.pause("sleeper")
    client.resume("sleeper")
    os.kill(agent["pid"], signal.SIGUSR1)
    assert client.wait(agent["id"], timeout=30)["signal"] == signal.SIGUSR1
