"""The examples in the help of commands: each is a command line that is understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clove.cli.console import Console
from clove.cli.main import main

NOT_HERE = re.compile(r"does not exist|is not there")
"""Files that an example names."""
END = {"|", ">", "<", "&&", ";"}


def commands(command: click.Command, above: click.Context | None) -> Iterator[click.Command]:
    context = click.Context(command, parent=above)
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, context)


def examples() -> list[str]:
    lines = [line for each in commands(main, None) for line in (each.epilog or "").splitlines()]
    found = [re.split(r"\s{2,}", line.strip())[0] for line in lines]
    return sorted({each for each in found if re.match(r"clove [a-z-]", each) and "..." not in each})


def understand(command: click.Command, words: list[str], above: click.Context | None) -> None:
    """Read the words as if they were typed, and run nothing."""
    context = command.make_context("clove", words, parent=above, obj=Console(None, False))
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        _, below, rest = command.resolve_command(context, rest)
        assert below is not None
        understand(below, rest, context)


def test_there_are_examples() -> None:
    assert len(examples()) > 200


def refusal(words: list[str]) -> str:
    """Why they are not understood; "": they are."""
    try:
        understand(main, words, None)
    except click.exceptions.Exit:  # --help and the like
        return ""
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("example", examples())
def test_an_example_is_understood(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(re.sub(r"\$\(.*?\)", "x", example.rstrip("\\")), comments=True)[1:]
    end = next((at for at, word in enumerate(words) if word in END), len(words))
    refused = refusal(words[:end])
    assert not refused or NOT_HERE.search(refused)


def test_what_is_no_command_is_not() -> None:
    assert "no such command" in refusal(["machines", "lst"])
    assert "No such option" in refusal(["ps", "--al"])
