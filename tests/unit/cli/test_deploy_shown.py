"""What a deployment says: on a terminal of 80 columns, into a pipe, and as JSON."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove.cli.console import Console
from clove.cli.deploy.shown import Shown, show_plan
from clove.cli.main import main
from clove.deploy.engine import PlannedStep
from clove.deploy.journal import Journal, Record
from clove.deploy.step import Event, Planned

RECORD = Record(
    name="build-7",
    target="ssh",
    options={},
    relay="http://127.0.0.1:8766",
    machines=["build-7"],
    command="clove deploy ssh ann@build-7",
    created=0.0,
)
STEPS = [
    PlannedStep("register", "done", Planned("register build-7")),
    PlannedStep("host", "begun", Planned("look at it: " + "Linux, Python 3.11 or newer, " * 5)),
    PlannedStep("apply", "new", Planned("make an instance", "8 USD a month (2026-11)")),
]
EVENTS = [
    Event("bundle", "begin"),
    Event("bundle", "note", "making the bundle \x1b[31m" + "word " * 20),
    Event("bundle", "amount", "clove.tar.gz", amount=(1, 2)),
    Event("bundle", "done", seconds=2.04),
    Event("kernel", "found"),
    Event("tunnel", "failed", "it did not connect", 3.0),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_end_where_a_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    console = Console(None, False)
    show_plan(console, RECORD, STEPS)
    shown = Shown(console)
    for event in EVENTS:
        shown(event)
    lines = [line for line in terminal.getvalue().splitlines() if not line.startswith("clove: ")]
    assert all(len(line) < 80 for line in lines), lines
    assert "\x1b[31m" not in terminal.getvalue()
    folded = [line for line in lines if line.startswith(" " * 12)]
    assert len(folded) >= 4


def test_a_pipe_gets_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(None, False)
    show_plan(console, RECORD, STEPS)
    shown = Shown(console)
    for event in EVENTS:
        shown(event)
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == ("register    register build-7 (done; is looked at again)")
    assert said.out.splitlines()[-1] == "            costs 8 USD a month (2026-11)"
    assert said.err.splitlines()[2:] == [
        "bundle      done (2.0 s)",
        "kernel      is there",
        "tunnel      failed (3.0 s)",
    ]


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(None, True)
    show_plan(console, RECORD, STEPS)
    shown = Shown(console)
    for event in EVENTS:
        shown(event)
    said = capsys.readouterr()
    assert said.err == ""
    values = [json.loads(line) for line in said.out.splitlines()]
    assert values[2] == {
        "step": "apply",
        "state": "new",
        "does": "make an instance",
        "costs": "8 USD a month (2026-11)",
    }
    assert values[-1] == {
        "event": "failed",
        "step": "tunnel",
        "text": "it did not connect",
        "seconds": 3.0,
    }


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def clove(*words: str) -> Result:
    return CliRunner().invoke(main, ("deploy", *words))


def test_deployments_are_listed_and_shown(state: Path) -> None:
    with Journal.locked("build-7") as journal:
        journal.write(RECORD)
        journal.note("register", "done", {"machines": ["build-7"]})
        journal.note("host", "begun", {})
    listed = clove("list")
    assert "stopped at host" in listed.stdout
    assert json.loads(clove("list", "--json").stdout)["state"] == "stopped at host"
    shown = clove("show", "build-7")
    assert 'machines: ["build-7"]' in shown.stdout
    assert "goes on by  clove deploy ssh ann@build-7" in shown.stdout
    assert json.loads(clove("show", "build-7", "--json").stdout)["steps"][0]["state"] == "done"
    missing = clove("show", "build-8")
    assert (missing.exit_code, "did you mean build-7?" in missing.stderr) == (1, True)


@pytest.mark.parametrize("word", ["destroy", "rm", "delete"])
def test_how_a_deployment_is_undone_is_said_where_another_command_is_tried(
    state: Path, word: str
) -> None:
    with Journal.locked("build-7") as journal:
        journal.write(RECORD)
    refused = clove(word, "build-7", "--yes")
    assert refused.exit_code == 2
    assert "build-7 is undone by: clove deploy ssh ann@build-7 --destroy" in refused.stderr


def test_a_plan_needs_neither_relay_nor_token_nor_machine(state: Path) -> None:
    planned = clove("ssh", "ann@no.such.invalid", "--name", "m", "--dry-run", "--label", "a=b")
    assert planned.exit_code == 0, planned.output
    names = [line.split()[0] for line in planned.stdout.splitlines()[:-1]]
    assert names == ["register", "host", "bundle", "install", "kernel", "tunnel", "smoke"]
    again = "clove deploy ssh ann@no.such.invalid --name m --label a=b"
    assert planned.stderr.strip().endswith(f"without --dry-run: {again}")
    assert not (state / "state").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ssh", "-oProxyCommand=x"), "no such option"),
        (("ssh", "--", "-oProxyCommand=x"), "is no host"),
        (("ssh", "ann@x", "--name", "../up", "--dry-run"), "--name"),
        (("ssh", "ann@x", "--port", "0"), "--port"),
        (("shh", "ann@x"), "did you mean ssh?"),
        (("docker", "box"), "did you mean --name box?"),
        (("aws", "lab", "--dry-run"), "did you mean --name lab?"),
        (("kubernetes", "--image", "x", "pool"), "did you mean --name pool?"),
        (("destroy", "m"), "there is no deployment 'm'; a deployment is undone by"),
        (("destroy",), "with --destroy (clove deploy list"),
        (("upgrade", "m", "--back", "--to", "1"), "--back goes without"),
        (("upgrade", "m"), "there is no deployment m"),
    ],
)
def test_what_makes_no_sense_is_refused(state: Path, words: tuple[str, ...], said: str) -> None:
    refused = clove(*words)
    assert refused.exit_code in (1, 2)
    assert said.lower() in refused.stderr.lower()
