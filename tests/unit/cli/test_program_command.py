"""Where options of `clove exec` stand."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from clove.cli.main import main
from clove.cli.program_command import ProgramCommand


@click.command(cls=ProgramCommand, context_settings={"allow_interspersed_args": False})
@click.option("-t", "--tty", is_flag=True)
@click.option("-w", "--cwd", default="")
@click.argument("agent")
@click.argument("command", nargs=-1, required=True)
def example(agent: str, command: tuple[str, ...], tty: bool, cwd: str) -> None:
    click.echo(f"{agent} {tty} {cwd or '-'} {' '.join(command)}")


@pytest.mark.parametrize(
    ("typed", "done"),
    [
        ("web ls -l", "web False - ls -l"),
        ("-t web ls -t", "web True - ls -t"),
        ("web -t ls -t", "web True - ls -t"),
        ("-t web --cwd /tmp ls", "web True /tmp ls"),
        ("web -tw /tmp -- ls --cwd /x", "web True /tmp ls --cwd /x"),
        ("web -- -x", "web False - -- -x"),
        ("-- web -- ls", "web False - -- ls"),
        ("-t -- web -w /x ls", "web True - -w /x ls"),
        ("web - x", "web False - - x"),
    ],
)
def test_its_own_options_stand_before_the_program(typed: str, done: str) -> None:
    ran = CliRunner().invoke(example, typed.split())
    assert (ran.exit_code, ran.output) == (0, f"{done}\n")


@pytest.mark.parametrize("typed", ["web -l", "web --nope ls", "web -t", "", "web"])
def test_what_is_no_option_or_no_program_is_refused(typed: str) -> None:
    ran = CliRunner().invoke(example, typed.split())
    assert ran.exit_code == 2
    assert "Traceback" not in ran.output


def test_help_stands_anywhere_before_the_program() -> None:
    assert CliRunner().invoke(example, ["web", "--help"]).output.startswith("Usage:")


@pytest.mark.parametrize("name", ["list", "inspect", "logs", "attach", "exec", "cp", "stop"])
def test_the_example_of_a_command_about_a_machine_names_it_first(name: str) -> None:
    shown = CliRunner().invoke(main, ["agent", name, "--help"])
    assert f"clove agent {name} --machine build-7" in shown.output
