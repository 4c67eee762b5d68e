"""Commands about a machine whose relay dies while they run: what is said, and how they go on or end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.machine_user import MAIN
from tests.integration.user_terminal import on_terminal

EXEC = ["agent", "exec", "--machine", "build-7"]
ECHO = ["sh", "-c", "while read -r line; do echo got $line; done"]
ON_TERMINAL = {
    "exec": [*EXEC, "-it", "beside", *ECHO],
    "run": ["agent", "run", "-it", "--machine", "build-7", "--", *ECHO],
    "attach": ["--context", "/build-7", "attach", "drawn"],
}
EVENTS = ["--context", "/build-7", "events", "AGENT_SPAWNED"]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.join("build-7")
        spawn(fleet, "beside")
        yield fleet
        if fleet.process is not None and fleet.process.poll() is not None:
            fleet.start()


def spawn(fleet: Fleet, name: str) -> None:
    with fleet.client("build-7", fleet.admin) as client:
        client.spawn(name, command=["sleep", "100"])


def kill(fleet: Fleet) -> None:
    assert fleet.process is not None
    fleet.process.send_signal(signal.SIGKILL)
    fleet.process.wait(20)


def started(fleet: Fleet, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **fleet.commands_environ()},
    )


def told(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def shown(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_program_behind_a_relay_that_stays_away_can_be_left(fleet: Fleet) -> None:
    with started(fleet, *EXEC, "beside", "sh", "-c", "echo up; sleep 100") as process:
        assert shown(process) == "up\n"
        kill(fleet)
        said = told(process)
        assert f"127.0.0.1:{fleet.hub_port} cannot be reached" in said
        assert "Ctrl-C ends this" in said
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT


@pytest.mark.parametrize("words", ON_TERMINAL.values(), ids=ON_TERMINAL)
def test_ctrl_c_on_a_terminal_ends_it_while_the_relay_is_away(
    fleet: Fleet, words: list[str]
) -> None:
    with fleet.client("build-7", fleet.admin) as client:
        client.spawn("drawn", command=ECHO, tty={"rows": 24, "columns": 80})
    environ = {**os.environ, **fleet.commands_environ(), "TERM": "xterm"}
    command = [sys.executable, "-c", MAIN, *words]
    with on_terminal(command, environ) as terminal:
        terminal.type(b"1\r")
        terminal.until(b"got 1")
        kill(fleet)
        terminal.until(b"Ctrl-C ends this")
        terminal.type(b"\x03")
        assert terminal.ended() == 128 + signal.SIGINT


def test_a_program_behind_a_relay_that_was_started_anew_is_said_to_be_lost(fleet: Fleet) -> None:
    with started(fleet, *EXEC, "beside", "sh", "-c", "echo up; sleep 100") as process:
        assert shown(process) == "up\n"
        kill(fleet)
        fleet.restart()
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert "the relay was started anew" in process.stderr.read()


def test_events_go_on_behind_a_relay_that_was_started_anew(fleet: Fleet) -> None:
    with started(fleet, *EVENTS) as process:
        while not _sees(fleet, process):
            pass
        kill(fleet)
        fleet.restart()
        said = told(process)
        while "events until it is back are not shown" not in said:
            assert said, process.wait(30)
            said = told(process)
        assert "events are shown again" in told(process)
        spawn(fleet, "after")
        while "after" not in shown(process):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def _sees(fleet: Fleet, process: subprocess.Popen[str]) -> bool:
    """Whether it has subscribed: it shows agents that start."""
    spawn(fleet, f"a{os.urandom(4).hex()}")
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 0.2)[0])
