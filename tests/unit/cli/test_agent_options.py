"""`clove agent` and the commands of this host have one language: the same options."""

from __future__ import annotations

import importlib

import click
import pytest
from click.testing import CliRunner

from clove.cli.fleet.agent import LOCAL, agent
from clove.cli.fleet.agent_run import AGENT_LABEL, create, run_agent
from clove.cli.fleet.deployment import _REFUSED
from clove.cli.main import main
from clove.cli.run import run

OF_THIS_HOST = {"--socket"}
"""Options that say which kernel of this host is meant."""
OTHERWISE = {"--label": AGENT_LABEL}
"""Options that are called otherwise, as `--label` says which machines."""


def options(command: click.Command) -> set[str]:
    return {
        name
        for param in command.params
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }


@pytest.mark.parametrize("command", [run_agent, create], ids=lambda one: str(one.name))
def test_each_option_of_run_is_there_for_a_machine(command: click.Command) -> None:
    wanted = {OTHERWISE.get(name, name) for name in options(run) - OF_THIS_HOST}
    assert wanted <= options(command)
    assert {"--machine", "--label", "--all", "--key"} <= options(command)


def test_options_take_the_same_and_say_the_same() -> None:
    ours = {param.name: param for param in run_agent.params}
    for param in run.params:
        if param.name not in ("socket", "context", "as_json"):
            assert isinstance(param, click.Option)
            there = ours[param.name]
            assert isinstance(there, click.Option)
            assert (there.help, there.multiple, type(there.type)) == (
                param.help,
                param.multiple,
                type(param.type),
            )


def test_what_is_refused_is_an_option_of_run() -> None:
    by_name = {str(param.name): param.opts for param in run.params}
    for name, (option, _, instead) in _REFUSED.items():
        assert option in by_name[name]
        assert instead


@pytest.mark.parametrize(("name", "local"), LOCAL.items())
def test_a_command_about_agents_has_the_options_of_that_of_this_host(name: str, local: str) -> None:
    command = getattr(importlib.import_module(f"clove.cli.{local}"), local)
    there = agent.get_command(click.Context(agent), name)
    assert there is not None
    assert options(command) - OF_THIS_HOST <= options(there)
    assert "--machine" in options(there)
    assert options(command) >= OF_THIS_HOST  # it is not changed by that


@pytest.mark.parametrize("name", agent.list_commands(click.Context(agent)))
def test_each_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, ["agent", name, "--help"])
    assert result.exit_code == 0
    assert f"clove agent {name}" in result.output
    assert "--json" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--publish", "80"], "clove forward MACHINE:AGENT:PORT"),
        (["--workspace", "x"], "clove agent cp"),
        (["--keep"], "clove agent cp"),
        (["--unsandboxed"], "clove run --unsandboxed"),
        (["--allow-degraded"], "clove run --allow-degraded"),
        (["--degrade", "limits"], "clove machines doctor"),
        (["--index", "pip"], "PIP_INDEX_URL"),
        (["--python", "/usr/bin/python3"], "python3.12"),
        (["--deny", "./x"], "from / on"),
        (["--dir", "/usr", "--dir", "/etc"], "one directory"),
        (["--dir", "/usr:/opt"], "leave :AS out"),
        (["--dir", "/etc/passwd"], "a directory is sent"),
        (["-t"], "needs a terminal"),
    ],
)
def test_what_a_machine_cannot_have_is_refused_with_what_to_do_instead(
    words: list[str], said: str
) -> None:
    result = CliRunner().invoke(
        main,
        ["agent", "run", "--machine", "one", *words, __file__],
        env={"CLOVE_RELAY": "http://127.0.0.1:1", "CLOVE_RELAY_TOKEN": "none"},
    )
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nowhere.py", "--machine", "one"], "no such script: 'nowhere.py'"),
        (["run", __file__], "which machine?"),
        (["list"], "which machine?"),
        (["create", "--all", __file__], "on one machine"),
        (["run", "--all", "-i", __file__], "for one machine"),
        (["run", "--machine", "one"], "what shall run?"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_asked(words: list[str], said: str) -> None:
    result = CliRunner().invoke(
        main,
        ["agent", *words],
        env={"CLOVE_RELAY": "http://127.0.0.1:1", "CLOVE_RELAY_TOKEN": "none"},
    )
    assert (result.exit_code, said in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["nothing"],
        ["one:agent"],
        ["one:agent:0"],
        ["one:agent:99999"],
        ["one::80"],
        ["one:agent:80", "0.0.0.0:80"],
        ["one:agent:80", "host:80"],
        ["one:agent:80", "x"],
    ],
)
def test_a_port_that_cannot_be_forwarded_is_wrong_usage(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["forward", *words]).exit_code == 2
