"""The reference of the command line: a page for each command, from click's own description of it."""

from __future__ import annotations

import inspect
from pathlib import Path

import click

from clove.cli.main import main

__all__ = ["write_commands"]


def write_commands(directory: Path) -> None:
    """Write a page for each command, and one that lists them.

    @param directory: it is made.
    """
    directory.mkdir(parents=True)
    context = click.Context(main, info_name="clove")
    rows, names = [], []
    for name, command in _commands(main, context):
        names.append(name)
        rows.append(f"| [`clove {name}`]({name}.md) | {_cell(command.get_short_help_str(200))} |")
        (directory / f"{name}.md").write_text(_page(command, click.Context(command, context, name)))
    listed = "\n".join(names)
    (directory / "index.md").write_text(
        "# Commands\n\nWhat `clove COMMAND --help` says, as pages; [The command line](../../docs/cli.md) has "
        "what all have in common.\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n\n"
        f"```{{toctree}}\n:hidden:\n{listed}\n```\n\n" + _options(main, context)
    )


def _commands(group: click.Group, context: click.Context) -> list[tuple[str, click.Command]]:
    found = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return [(name, command) for name, command in found if command and not command.hidden]


def _page(command: click.Command, context: click.Context, depth: int = 1) -> str:
    """One command, and those that are below it."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * depth} clove {context.command_path.removeprefix('clove ')}\n"]
    parts.append(f"```text\n{usage}\n```\n")
    parts.append(_text(command.help))
    if isinstance(command, click.Group):
        below = _commands(command, context)
        rows = "\n".join(
            f"| `{name}` | {_cell(each.get_short_help_str(200))} |" for name, each in below
        )
        parts.append(f"| | |\n|---|---|\n{rows}\n")
    parts += [_options(command, context), _examples(command.epilog)]
    if isinstance(command, click.Group):
        parts += [
            _page(each, click.Context(each, context, name), depth + 1) for name, each in below
        ]
    return "\n".join(part for part in parts if part)


def _text(text: str | None) -> str:
    """A help text: paragraphs, and what click was told to leave as it is."""
    blocks = inspect.cleandoc(text or "").split("\n\n")
    return "\n".join(_block(block) for block in blocks if block.strip()) + "\n"


def _block(block: str) -> str:
    lines = block.splitlines()
    if lines[0].strip() == "\b":
        return _fenced(lines[1:])
    return _escaped(" ".join(line.strip() for line in lines)) + "\n"


def _fenced(lines: list[str]) -> str:
    return "```text\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n"


def _examples(epilog: str | None) -> str:
    """The epilog; its first block is mostly examples."""
    return _text(epilog) if epilog else ""


def _options(command: click.Command, context: click.Context) -> str:
    rows = []
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            rows.append(f"| `{record[0].replace('|', chr(92) + '|')}` | {_cell(record[1])} |")
    return "| option | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    """Text in which nothing is markup."""
    for mark in "\\`*_{}[]<>#|$~":
        text = text.replace(mark, f"\\{mark}")
    return text
