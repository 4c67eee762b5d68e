"""`clove agent run` on several machines: a line for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove.cli.main import main
from tests.integration.fleet.fleet_processes import Fleet, running_fleet


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        for machine in ("one", "two"):
            fleet.join(machine)
            fleet.ask("PATCH", f"/machines/{machine}", {"labels": {"for": "tests"}})
        fleet.ask("POST", "/machines", {"machine_id": "absent", "labels": {"for": "tests"}})
        yield fleet


def environ(fleet: Fleet) -> dict[str, str]:
    url = f"http://127.0.0.1:{fleet.rest_port}"
    return {"CLOVE_RELAY": url, "CLOVE_RELAY_TOKEN": fleet.admin}


def clove(fleet: Fleet, *words: str) -> Result:
    return CliRunner().invoke(main, words, env=environ(fleet))


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "work.py"
    path.write_text(text)
    return str(path)


def test_on_several_a_line_says_how_it_went_on_each(fleet: Fleet, tmp_path: Path) -> None:
    path = script(tmp_path, "import time\ntime.sleep(100)\n")
    words = ["agent", "run", "--json", "--label", "for=tests", "--key", "k1", path]
    result = clove(fleet, *words)
    assert result.exit_code == 0
    made = {each["machine_id"]: each for each in map(json.loads, result.stdout.splitlines())}
    absent = made.pop("absent")
    assert (absent["status"], absent["code"]) == ("unavailable", "unavailable")
    assert set(made) == {"one", "two"}
    again = clove(fleet, *words)
    found = {each["machine_id"]: each for each in map(json.loads, again.stdout.splitlines())}
    assert all(found[name] == each for name, each in made.items())
    result = clove(fleet, "agent", "run", "--machine", "absent", "--label", "for=tests", path)
    assert result.exit_code == 1
    assert "machine 'absent' is not connected" in result.stderr


def test_without_a_machine_nothing_is_started(fleet: Fleet, tmp_path: Path) -> None:
    path = script(tmp_path, "")
    result = clove(fleet, "agent", "run", "--label", "for=none", path)
    assert (result.exit_code, "no machine" in result.stderr) == (1, True)
    result = clove(fleet, "agent", "run", path)
    assert (result.exit_code, "which machine?" in result.stderr) == (2, True)


def test_agent_run_starts_on_all_by_the_same_route(fleet: Fleet, tmp_path: Path) -> None:
    path = script(tmp_path, "")
    result = clove(fleet, "agent", "run", "--label", "for=tests", path)
    assert result.exit_code == 0
    assert sorted(line.partition(": agent ")[0] for line in result.stdout.splitlines()) == [
        "one",
        "two",
    ]
    assert "absent" in result.stderr
