"""A target whose world is a directory: a step makes a file, which is two effects (made, then filled)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clove.deploy.engine import begin, carry_out, undo
from clove.deploy.journal import Journal, Record
from clove.deploy.step import Event, Facts, Planned, Progress
from clove.errors import Unavailable

__all__ = ["FileStep", "FileTarget", "main", "record"]


class FileStep:
    """Makes C{NAME} in a directory, with the names of the steps before it."""

    def __init__(self, name: str, world: Path, calls: list[str]) -> None:
        self.name = name
        self._path = world / name
        self._calls = calls
        self.fails = False
        self.cannot_look = False

    def plan(self, facts: Facts) -> Planned:
        return Planned(f"make {self._path.name}", "nothing")

    def look(self, facts: Facts) -> Facts | None:
        self._calls.append(f"look {self.name}")
        if self.cannot_look:
            raise Unavailable("no permission")
        if self._path.exists() and self._path.read_text():
            return {self.name: self._path.read_text()}
        return None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        self._calls.append(f"do {self.name}")
        if self.fails:
            raise Unavailable("the disk is full", hint="make room")
        beside = self._path.with_suffix(".new")
        beside.write_text("")
        os.rename(beside, self._path)
        beside.write_text(",".join(sorted(facts)) or "first")
        os.rename(beside, self._path)
        progress.note("made")
        return {self.name: self._path.read_text()}

    def undo(self, facts: Facts, progress: Progress) -> None:
        self._calls.append(f"undo {self.name}")
        if self.fails:
            raise Unavailable("it is in use")
        self._path.with_suffix(".new").unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


class FileTarget:
    """Steps of this kind."""

    def __init__(self, world: Path, names: tuple[str, ...] = ("one", "two", "three")) -> None:
        self.calls: list[str] = []
        self.steps = [FileStep(name, world, self.calls) for name in names]


def record(name: str = "d", **options: Any) -> Record:
    return Record(
        name=name,
        target="file",
        options=options,
        relay="http://127.0.0.1:1",
        machines=[name],
        command=f"clove deploy file {name}",
        created=1.0,
    )


def main(argv: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """C{make} or C{undo} in $WORLD."""
    [what] = argv or sys.argv[1:]
    world = Path(environ["WORLD"])
    with Journal.locked("d") as journal:
        if what == "make":
            begin(journal, record())
            carry_out(journal, FileTarget(world), _ignore)
        elif journal.record is not None:
            undo(journal, FileTarget(world), _ignore)


def _ignore(event: Event) -> None:
    pass
