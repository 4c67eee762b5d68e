"""`clove agent`: an agent on one machine of a relay, in the foreground and from the outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove.cli.main import main
from tests.integration.fleet.fleet_processes import WHO, Fleet, clove_process, running_fleet
from tests.integration.fleet.machine_user import MAIN, started
from tests.waiting import until

WAITS = "import time\nprint('up', flush=True)\ntime.sleep(100)\n"


@pytest.fixture(scope="module", params=WHO)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with running_fleet(request.param) as fleet:
        fleet.join("one")
        yield fleet


def clove(fleet: Fleet, *words: str) -> Result:
    return CliRunner().invoke(main, ("agent", *words), env=fleet.commands_environ())


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "work.py"
    path.write_text(text)
    return str(path)


def test_run_has_the_agents_output_and_exit_code(fleet: Fleet, tmp_path: Path) -> None:
    path = script(tmp_path, "import sys\nprint(sys.argv[1:])\nsys.exit(7)\n")
    result = clove_process(fleet, "agent", "run", path, "--machine", "one", "-v", "--name", "x")
    assert result.stdout == "['-v', '--name', 'x']\n"
    assert result.exit_code == 7
    result = clove_process(fleet, "agent", "run", "--machine=one", path, "--machine", "x")
    assert result.stdout == "['--machine', 'x']\n"
    killed = clove_process(
        fleet,
        "agent",
        "run",
        "--machine",
        "one",
        script(tmp_path, "import os\nos.kill(os.getpid(), 9)\n"),
    )
    assert killed.exit_code == 128 + 9
    assert "SIGKILL" in killed.stderr


def test_a_detached_agent_is_listed_its_output_read_and_stopped(
    fleet: Fleet, tmp_path: Path
) -> None:
    path = script(tmp_path, WAITS)
    made = clove(fleet, "run", "-d", "--name", "worker", "--machine", "one", path)
    assert made.stdout.endswith(" on one\n")
    name, _, _, _, number, *_ = made.stdout.split()
    assert name == "worker"
    listed = clove(fleet, "list", "--machine", "one").stdout
    assert any(line.split()[:2] == [number, name] for line in listed.splitlines())
    until(
        lambda: clove_process(fleet, "agent", "logs", name, "--machine", "one").stdout == "up\n",
        "its output is there",
    )
    missing = clove(fleet, "stop", "--machine", "one", "nothing", name)
    assert (missing.exit_code, missing.stdout) == (1, "killed worker\n")
    assert "'nothing'" in missing.stderr
    assert name not in clove(fleet, "list", "--machine", "one").stdout
    ended = clove(fleet, "--help"), clove(fleet, "list", "-a", "--json", "--machine", "one")
    assert number in {str(json.loads(line)["id"]) for line in ended[1].stdout.splitlines()}
    followed = clove_process(fleet, "agent", "logs", "-f", number, "--machine", "one")
    assert (followed.stdout, followed.exit_code) == ("up\n", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_agent_and_shows_its_last_output(
    fleet: Fleet, tmp_path: Path, number: signal.Signals
) -> None:
    text = (
        "import signal, sys, time\n"
        "def end(*_):\n    print('ending', flush=True)\n    sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n"
    )
    words = ["agent", "run", "--machine", "one", "--name", f"i{int(number)}"]
    path = script(tmp_path, text + WAITS)
    with started(fleet, *words, path, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.read() == "ending\n"
        assert process.wait(30) == 3
    assert f"i{int(number)}" not in clove(fleet, "list", "--machine", "one").stdout


def test_a_second_interrupt_does_not_wait_for_the_end(fleet: Fleet, tmp_path: Path) -> None:
    text = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('no', flush=True))\n"
    words = ["agent", "run", "--machine", "one", "--name", "stays"]
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words, script(tmp_path, text + WAITS)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **fleet.commands_environ()},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "no\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT
        assert process.stderr is not None
        assert "detached" in process.stderr.read()
    until(
        lambda: "stays" not in clove(fleet, "list", "--machine", "one").stdout,
        "the agent has ended",
    )
