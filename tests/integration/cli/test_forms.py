"""What every command shows: on a terminal of 80 columns, into a pipe, and as JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from clove.cli.main import main
from tests.integration.cli.forms import COLUMNS, CONTROL, Ran, on_terminal, with_pipes
from tests.integration.cli.prepared import Prepared, running_fixture
from tests.integration.cli.rows import ROWS, Row
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX
each = pytest.mark.parametrize("row", ROWS, ids=[row.command for row in ROWS])
DOCUMENT = Path(__file__).parents[3] / "docs/cli.md"
Form = Callable[..., Ran]


def commands(group: click.Command, above: click.Context, path: tuple[str, ...]) -> Iterator[str]:
    """All below a group, as they are typed."""
    if not isinstance(group, click.Group):
        yield " ".join(path)
        return
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        below = click.Context(command, parent=above, info_name=name)
        yield from commands(command, below, (*path, name))


def test_every_command_has_a_row() -> None:
    there = set(commands(main, click.Context(main), ()))
    assert {row.command for row in ROWS} == there


def documented_fields(command: str) -> tuple[set[str], set[str]]:
    """Of the table in docs/cli.md: those that all objects of a command have, and those that any has."""
    text = DOCUMENT.read_text().partition("\n## JSON\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    [fields] = [fields for commands, fields in rows if f"`{command}`" in commands]
    names = re.findall(r"(\w+)(\??)", re.sub(r"with `.*?`", "", fields))
    return {name for name, mark in names if not mark}, {name for name, _ in names}


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    with running_fixture() as prepared:
        yield prepared


@pytest.fixture(autouse=True)
def kept_contexts(prepared: Prepared) -> Iterator[None]:
    path = prepared.home / ".clove/config.yaml"
    text = path.read_text()
    yield
    path.write_text(text)


def call(form: Form, prepared: Prepared, row: Row, *more: str) -> Ran:
    """Make what a call is about, and call."""
    names = row.before(prepared)
    named = {"admin": prepared.fleet.admin, **names}
    words = [*row.command.split(), *more, *shlex.split(row.rest.format(**named))]

    def look(said: str) -> None:
        if row.meanwhile is not None:
            row.meanwhile(prepared, names, said)

    return form(
        words,
        {**prepared.environ, **row.environ(prepared)},
        typed=row.typed.format(**named),
        until=row.until,
        meanwhile=look,
        prepare=row.prepare,
    )


@each
def test_lines_fit_a_terminal(prepared: Prepared, row: Row) -> None:
    ran = call(on_terminal, prepared, row)
    assert ran.code == row.code, ran
    assert row.silent or ran.out or ran.err
    for line in ran.out.splitlines():
        assert not CONTROL.search(line), (line, ran)
        assert row.long or len(line) <= COLUMNS, (line, ran)
    assert not any(CONTROL.search(line.replace("\r", "")) for line in ran.err.splitlines()), ran.err


@each
def test_a_pipe_gets_plain_lines(prepared: Prepared, row: Row) -> None:
    ran = call(with_pipes, prepared, row)
    assert ran.code == row.code, ran
    assert "\x1b" not in ran.err
    assert "\r" not in ran.err
    if not row.raw:
        assert "\x1b" not in ran.out


@each
def test_programs_get_json_alone(prepared: Prepared, row: Row) -> None:
    ran = call(with_pipes, prepared, row, "--json")
    assert (ran.code, ran.err) == (row.code, ""), ran
    needed, known = documented_fields(row.command)
    for line in ran.out.splitlines():
        found = set(json.loads(line))
        assert needed <= found <= known, (found - known, needed - found)
