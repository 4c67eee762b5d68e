"""The help of every command, on terminals of several widths."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from clove.cli.help_text import HelpFormatter
from clove.cli.main import COMMANDS, EPILOG, main


def commands(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*words, name))


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_is_no_wider_than_the_terminal(name: str, width: int) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    for words in commands(command, (name,)):
        shown = CliRunner().invoke(main, [*words, "--help"], terminal_width=width).output
        assert [line for line in shown.splitlines() if len(line) > width] == [], words


@pytest.mark.parametrize("width", [60, 80])
def test_the_list_of_all_commands_is_no_wider_than_the_terminal(width: int) -> None:
    shown = CliRunner().invoke(main, ["--help"], terminal_width=width).output
    assert max(map(len, shown.splitlines())) <= width


def test_each_example_of_the_list_of_all_commands_has_room_before_what_it_does() -> None:
    examples = EPILOG.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    assert [line for line in examples if "  " not in line.strip()] == []


@pytest.mark.parametrize("name", ["machines", "tokens", "relay", "tunnel", "config"])
def test_a_group_says_of_each_command_a_whole_sentence(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"], terminal_width=80).output
    listed = shown.split("Commands:\n")[1].split("\n\n")[0]
    assert "..." not in listed


def written(text: str, width: int) -> str:
    formatter = HelpFormatter(width=width)
    formatter.write_text(text)
    return formatter.getvalue()


def test_an_example_with_room_keeps_its_line() -> None:
    text = "\b\nExamples:\n  clove ps      the agents"
    assert written(text, 40) == "Examples:\n  clove ps      the agents\n"


def test_what_an_example_does_goes_below_it_where_there_is_no_room() -> None:
    text = "\b\nExamples:\n  clove ps      the agents that run"
    assert written(text, 30) == "Examples:\n  clove ps\n      the agents that run\n"


def test_sentences_that_keep_their_lines_flow_where_there_is_no_room() -> None:
    text = "\b\nOne sentence of this.\nAnother one of that."
    assert written(text, 40) == "One sentence of this.\nAnother one of that.\n"
    assert written(text, 20) == "One sentence of\nthis. Another one of\nthat.\n"
