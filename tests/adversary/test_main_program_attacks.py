"""A main program that was forked before there was a spec: what it has, and what disturbs its start."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import ConnectionLost
from tests.adversary.arena import Arena, Kernels, emptied
from tests.adversary.main_program_scripts import HOST_FILE, SAME, STATE, ZONE_OF
from tests.adversary.process_moments import (
    MOMENTS,
    alive,
    at,
    confined,
    processes,
    until_ended,
)
from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.integration.zygotes import until_preforked, until_warm
from tests.waiting import PATIENCE, until

CROWD = 24
SLEEP = "import time\ntime.sleep(100)\n"
ZONE = "/usr/share/zoneinfo/Asia/Tokyo"
RENEWED = "[zygote]\nrenew_after = 1\nprefork = 2\n"

KERNELS = (ROOT, ROOTLESS)
ROUNDS = 4
_numbers = itertools.count()


@pytest.fixture(scope="module", params=KERNELS)
def warm(request: pytest.FixtureRequest, kernels: Kernels) -> Arena:
    """A kernel whose agents start warm."""
    return kernels.arena(request.param, "warm")


@pytest.fixture
def waiting(warm: Arena) -> Iterator[Arena]:
    """The same with an empty directory of files; its agents end with the test."""
    with emptied(warm):
        yield warm


@pytest.fixture(params=KERNELS)
def hasty(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """A kernel that replaces its zygote all the time, which drops all preforked children."""
    with host(request.param, RENEWED) as made:
        yield Arena(**vars(made), start="warm")
        if made.kernel.process is not None and made.kernel.process.poll() is not None:
            made.kernel.start()  # it finds what the killed one has left


def preforked(made: Host) -> tuple[int, int]:
    """Process 1 and main program of a child that has warmed up and waits."""
    return until_preforked(made.kernel, made.client)


def killing(main: int, now: Callable[[], bool]) -> threading.Thread:
    """Kill a main program at the moment that this says it is time, at the latest after a while."""

    def kill() -> None:
        end = time.monotonic() + PATIENCE
        while not now() and time.monotonic() < end:
            pass
        os.kill(main, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def spawn_at_the_end(socket: str, script: str) -> None:
    """Spawn an agent, perhaps of a kernel that ends meanwhile."""
    with contextlib.suppress(ConnectionLost), CloveClient(socket) as client:
        client.spawn(f"late-{next(_numbers)}", script)


def running(client: CloveClient, agent: int) -> bool:
    return any(entry["id"] == agent and entry["running"] for entry in client.list_agents())


# what it has


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"network": True},
        {"permissions": {"can_exec": False}},
        {"permissions": {"allowed_commands": ["/usr/bin/env"]}},
    ],
    ids=["default", "network", "no-exec", "one-command"],
)
def test_a_warm_main_program_has_what_a_cold_one_has(warm: Arena, fields: dict[str, Any]) -> None:
    found = warm.run(STATE, **fields)
    cold = Arena(**{**vars(warm), "start": "cold"}).run(STATE, **fields)
    for name in cold:
        assert found[name] == cold[name], name
    assert set(found["bounding"]) == {0}
    assert found["status"]["Seccomp_filters"] == "2"


def test_a_restarted_one_has_it_as_well(warm: Arena) -> None:
    source = STATE + "\nraise SystemExit(1)"
    reply = warm.begin(source, restart_policy="on-failure", max_restarts=1)
    warm.client.wait(reply["id"], timeout=50)
    lines = warm.client.logs(reply["id"])["lines"]
    first, second = (json.loads(line["text"]) for line in lines if line["text"].startswith("{"))
    first["writes"]["/workspace/x"] = second["writes"]["/workspace/x"]
    assert first == second


def test_commands_may_what_it_may(waiting: Arena) -> None:
    own, command = waiting.run(SAME)
    assert own == command
    assert {own[name] for name in own if name.startswith("Cap")} == {"0" * 16}


def test_a_time_zone_is_no_file_of_the_host(waiting: Arena) -> None:
    """The C library opens what TZ names, which the agent's parent may choose."""
    zone = str(waiting.files / "zone")
    shutil.copy(ZONE, zone)
    os.chmod(zone, 0o644)
    found = {waiting.run(ZONE_OF, env={"TZ": f":{zone}"}, either=True) for _ in range(15)}
    assert found == {""}


def test_nothing_of_a_host_file_that_a_time_zone_names_is_in_memory(waiting: Arena) -> None:
    text = "a-secret-of-the-host-that-no-agent-is-given\n"
    path = waiting.file("secret", text * 80)
    word = "YS1zZWNyZXQtb2YtdGhlLWhvc3Q="  # what is searched for shall not be found by itself
    for _ in range(15):
        assert waiting.run(HOST_FILE, word, env={"TZ": f":{path}"}, either=True) <= 1


# what disturbs it


def test_a_preforked_child_with_a_killed_main_program_costs_no_start(waiting: Arena) -> None:
    init, main = preforked(waiting)
    os.kill(main, signal.SIGKILL)
    reply = waiting.begin(SLEEP, either=True)
    assert running(waiting.client, reply["id"])
    until_ended(init)


def test_one_that_is_killed_before_it_may_begin_is_started_cold(waiting: Arena) -> None:
    """It stands still from before its spec is there, so nothing of the agent's can have run."""
    init, main = preforked(waiting)
    os.kill(main, signal.SIGSTOP)
    killer = killing(main, lambda: confined(init))
    reply = waiting.begin(SLEEP, either=True)
    killer.join()
    assert not reply["warm"]
    assert running(waiting.client, reply["id"])


@pytest.mark.parametrize("moment", MOMENTS)
def test_no_agent_runs_without_a_main_program(waiting: Arena, moment: str) -> None:
    """Whenever it is killed: the agent is started with another one, or has ended."""
    for _ in range(ROUNDS):
        child = preforked(waiting)
        killer = killing(child[1], at(moment, *child))
        reply = waiting.begin(SLEEP, either=True)
        killer.join()
        until_ended(child[1])
        if reply["pid"] == child[1]:
            assert waiting.client.wait(reply["id"], timeout=PATIENCE)["signal"] == signal.SIGKILL
            assert not running(waiting.client, reply["id"])
        else:
            assert running(waiting.client, reply["id"])
            assert alive(reply["pid"])
            waiting.client.kill(reply["id"])


def test_pause_and_kill_hold_directly_after_a_start(waiting: Arena) -> None:
    for number in range(6):
        reply = waiting.begin(SLEEP, either=True)
        if number % 2:
            waiting.client.pause(reply["id"])
        waiting.client.kill(reply["id"])
    assert waiting.client.list_agents() == []


def test_a_crowd_starts_while_spares_are_dropped(hasty: Arena) -> None:
    script = str(hasty.files / "sleep.py")
    hasty.files.joinpath("sleep.py").write_text(SLEEP)
    until_warm(hasty.client, script)
    problems: list[BaseException] = []

    def one(number: int) -> None:
        try:
            with CloveClient(hasty.kernel.socket) as client:
                reply = client.spawn(f"one-{number}", script)
                assert running(client, reply["id"])
                client.kill(reply["id"])
        except BaseException as problem:
            problems.append(problem)

    crowd = [threading.Thread(target=one, args=(number,)) for number in range(CROWD)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert problems == []
    for agent in hasty.client.list_agents():
        hasty.client.kill(agent["id"])
    until(lambda: len(processes(hasty.kernel.pid)) < 12, "processes stay")
    all_agents = processes(hasty.kernel.pid)
    hasty.kernel.stop(signal.SIGKILL)
    until(lambda: not any(map(alive, all_agents)), "processes outlive their kernel")


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_none_begins_when_its_kernel_has_ended(who: str) -> None:
    """It is late: process 1 serves already, and is told to end everybody."""
    with host(who) as made:
        script = str(made.files / "sleep.py")
        made.files.joinpath("sleep.py").write_text(SLEEP)
        until_warm(made.client, script)
        init, main = preforked(made)
        os.kill(main, signal.SIGSTOP)
        caller = threading.Thread(target=spawn_at_the_end, args=(made.kernel.socket, script))
        caller.start()
        until(lambda: confined(init), "process 1 serves")
        made.kernel.stop(signal.SIGKILL)
        caller.join()
        with contextlib.suppress(ProcessLookupError):
            os.kill(main, signal.SIGCONT)
        try:
            until_ended(main)
        finally:
            if alive(main):
                os.kill(init, signal.SIGKILL)
            made.kernel.start()


def test_nothing_outlives_a_kernel_that_ends_amid_starts(hasty: Arena) -> None:
    script = str(hasty.files / "sleep.py")
    hasty.files.joinpath("sleep.py").write_text(SLEEP)
    until_warm(hasty.client, script)
    place = (hasty.kernel.socket, script)
    threads = [threading.Thread(target=spawn_at_the_end, args=place) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(hasty.client.list_agents, "a start")
    all_agents = processes(hasty.kernel.pid)
    hasty.kernel.stop(signal.SIGKILL)
    for thread in threads:
        thread.join()
    until(lambda: not any(map(alive, all_agents)), "processes outlive their kernel")
