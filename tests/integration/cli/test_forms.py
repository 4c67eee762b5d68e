"""What every command shows: on a terminal of 80 columns, into a pipe, and as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator

import click
import pytest

from clove.cli.main import main
from tests.integration.cli.forms import COLUMNS, CONTROL, Ran, on_terminal, with_pipes
from tests.integration.cli.rows import ROWS, Row
from tests.integration.cli.scene import Scene, running_scene
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX
each = pytest.mark.parametrize("row", ROWS, ids=[row.command for row in ROWS])
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


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running_scene() as scene:
        yield scene


@pytest.fixture(autouse=True)
def kept_contexts(scene: Scene) -> Iterator[None]:
    path = scene.home / ".clove/config.yaml"
    text = path.read_text()
    yield
    path.write_text(text)


def call(form: Form, scene: Scene, row: Row, *more: str) -> Ran:
    """Make what a call is about, and call."""
    names = row.before(scene)
    named = {"admin": scene.fleet.admin, **names}
    words = [*row.command.split(), *more, *shlex.split(row.rest.format(**named))]

    def look(said: str) -> None:
        if row.meanwhile is not None:
            row.meanwhile(scene, names, said)

    return form(
        words,
        {**scene.environ, **row.environ(scene)},
        typed=row.typed.format(**named),
        until=row.until,
        meanwhile=look,
        prepare=row.prepare,
    )


@each
def test_lines_fit_a_terminal(scene: Scene, row: Row) -> None:
    ran = call(on_terminal, scene, row)
    assert ran.code == row.code, ran
    assert row.silent or ran.out or ran.err
    for line in ran.out.splitlines():
        assert not CONTROL.search(line), (line, ran)
        assert row.long or len(line) <= COLUMNS, (line, ran)
    assert not any(CONTROL.search(line.replace("\r", "")) for line in ran.err.splitlines()), ran.err


@each
def test_a_pipe_gets_plain_lines(scene: Scene, row: Row) -> None:
    ran = call(with_pipes, scene, row)
    assert ran.code == row.code, ran
    assert "\x1b" not in ran.err
    assert "\r" not in ran.err
    if not row.raw:
        assert "\x1b" not in ran.out


@each
def test_programs_get_json_alone(scene: Scene, row: Row) -> None:
    ran = call(with_pipes, scene, row, "--json")
    assert (ran.code, ran.err) == (row.code, ""), ran
    for line in ran.out.splitlines():
        assert isinstance(json.loads(line), dict), line
