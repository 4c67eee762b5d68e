"""`clove agent run` on several machines: a line for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove._version import __version__
from clove.cli.main import main
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.relay.commands import on_terminal
from tests.waiting import until


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


def test_the_fleet_is_shown_in_a_few_lines(fleet: Fleet, tmp_path: Path) -> None:
    path = script(tmp_path, "import time\ntime.sleep(100)\n")
    made = clove(fleet, "agent", "run", "-d", "--machine", "one", "--json", path)
    assert made.exit_code == 0, made.output
    version = f"versions: {__version__} on 2"  # is written within a second
    until(lambda: version in clove(fleet, "status").stdout, "both have told")
    lines = clove(fleet, "status").stdout.splitlines()
    assert "machines: 3 (2 connected, 1 disconnected)" in lines
    [agents] = [line for line in lines if line.startswith("agents: ")]
    assert re.fullmatch(r"agents: [1-9]\d*; remote callers: 0", agents)
    fleet.ask("POST", f"/agents/{json.loads(made.stdout)['agent_id']}/stop", {"machine_id": "one"})


def test_a_machine_is_shown_with_what_its_kernel_says(fleet: Fleet) -> None:
    [report] = [json.loads(clove(fleet, "machines", "doctor", "one", "--json").stdout)]
    for words in (["show"], ["doctor"], ["logs"]):
        status, lines = on_terminal(environ(fleet), "machines", *words, "one")
        assert status == (1 if words == ["doctor"] and not report["sandbox"] else 0), lines
        assert [line for line in lines if len(line) > 80] == []
        text = "\n".join(lines)
        if words == ["doctor"]:
            assert "namespace.user" in text
            assert lines[-1].startswith("The default sandbox ")
        elif words == ["show"]:
            assert f"clove {__version__}" in text
            assert "key:        its own, which it proves" in lines
        else:
            assert re.search(
                r"^\d{4}-\d\d-\d\d .* token +join token \w+: joined by it$", text, re.M
            )
            assert re.search(
                r"^\d{4}-\d\d-\d\d .* presence +connected, from 127.0.0.1$", text, re.M
            )


def test_machines_are_listed_with_labels_and_since_when(fleet: Fleet) -> None:
    [line] = [
        line for line in clove(fleet, "machines", "list").stdout.splitlines() if "one" in line
    ]
    assert re.match(r"one +connected +\d+\w( \d+\w)? +127.0.0.1 +for=tests *$", line), line
