from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clove._version import __version__
from clove.cli.console import Console
from clove.cli.fleet.context import Context
from clove.cli.main import COMMANDS, main
from clove.errors import NotFound, PermissionDenied


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from clove.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith(('clove.client', 'rich', 'twisted'))])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert all(f"  {name} " in output for name in COMMANDS)
    assert output.endswith("[]\n")


def test_a_run_imports_nothing_that_few_runs_need() -> None:
    code = (
        "import sys, clove.cli.main, clove.cli.run\n"
        "print([m for m in ('difflib', 'shutil', 'tomllib', 'pathlib', 'ssl', 'asyncio', 'msgspec',"
        " 'dataclasses', 'rich', 'twisted', 'subprocess') if m in sys.modules])"
    )
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_command_has_help_with_examples(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"clove {name}" in result.output
    assert "--json" in result.output


@pytest.mark.parametrize("name", list(COMMANDS))
def test_h_is_help(name: str) -> None:
    long, short = (CliRunner().invoke(main, [name, word]) for word in ("--help", "-h"))
    assert (short.exit_code, short.output) == (0, long.output)


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"clove, version {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["kill"],
        ["run", "/nonexistent.py"],
        ["run", "--memory", "much", __file__],
        ["run", "--env", "=x", __file__],
        ["logs", "--since", "lately", "a"],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    assert CliRunner().invoke(main, words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["log", "x"], "did you mean logs"),
        (["stop", "x"], "did you mean kill?"),
        (["version"], "did you mean --version?"),
        (["workspace", "remove"], "did you mean rm?"),
        (["state", "gett"], "did you mean get"),
        (["ps", "--al"], "--all"),
        (["run", "-v", "/a:/b", "--", "ls"], "did you mean --dir"),
        (["run", "--shm-size", "1G", "--", "ls"], "did you mean --shm?"),
        (["run", "--memry", "1G", "--", "ls"], "--memory"),
        (["audit", "--category", "securty"], "did you mean SECURITY"),
        (["stats", "--sort", "cpuu"], "did you mean cpu"),
        (["completion", "fsh"], "did you mean fish"),
        (["rm", "worker"], "clove prune"),
        (["agents", "list"], "did you mean agent "),
        (["tunnel", "list"], "no such command 'list'"),
        (["forward", "web", "8000"], "as in build-7:web:8000"),
        (["tokens", "create"], "agent, admin, machine, join"),
    ],
)
def test_an_unknown_word_is_refused_with_what_was_meant(words: list[str], meant: str) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert meant in result.stderr


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["help"], ["--help"]),
        (["help", "run"], ["run", "-h"]),
        (["state", "help"], ["state", "-h"]),
    ],
)
def test_help_as_a_word(words: list[str], same: list[str]) -> None:
    found, expected = (CliRunner().invoke(main, each) for each in (words, same))
    assert (found.exit_code, found.output) == (0, expected.output)


def _options(command: click.Command, path: str) -> Iterator[tuple[str, click.Parameter]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _options(inner, f"{path} {name}")
    else:
        yield from ((path, each) for each in command.params)


def test_every_option_says_what_it_does_and_every_choice_knows_near_words() -> None:
    for path, param in _options(main, "clove"):
        assert not isinstance(param.type, click.Choice), (path, param.name)
        assert not isinstance(param, click.Option) or param.help, (path, param.name)


@pytest.mark.parametrize("words", [["ps"], ["logs", "a"], ["kill", "a"], ["run", __file__]])
def test_no_kernel_is_one_line_and_exit_code_1(words: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--socket", f"{tmp_path}/none", *words])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "no kernel listens" in result.stderr
    assert "twistd -n clove-kernel --socket" in result.stderr


def test_an_error_for_a_machine_is_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["ps", "--json", "--socket", f"{tmp_path}/none"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["code"] == "connection_lost"
    assert result.stderr == ""


def test_an_error_names_its_rule_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = PermissionDenied("no \x1b[2J", rule="can_spawn", hint="ask\nthe operator")
    Console(None, False).error(error)
    assert capsys.readouterr().err == (
        "clove: Permission denied: no [2J (rule: can_spawn) - ask the operator\n"
    )


def test_advice_for_a_machine_is_a_command_for_a_shell_whatever_its_context_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(None, False)
    console.remote = Context("corp\\user; id", {"relay": "https://x"}, machine="m1")
    console.error(NotFound("no such agent", hint="clove ps shows them"))
    assert capsys.readouterr().err.endswith(
        " - clove --context 'corp\\user; id/m1' ps shows them\n"
    )


def test_output_is_cleaned_for_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(None, False)
    console.line("\x1b[31mred")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.line("\x1b[31mred")
    assert capsys.readouterr().out == "\x1b[31mred\n[31mred\n"
