"""What a deployment does, shown: for people on stderr, for programs as JSON lines on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Final

from clove.cli.console import Console
from clove.cli.progress import Progress
from clove.deploy.engine import PlannedStep
from clove.deploy.journal import Record
from clove.deploy.step import Event

__all__ = ["Shown", "show_plan"]

_WORDS: Final = {"found": "is there", "done": "done", "failed": "failed", "undone": "undone"}
_WIDTH: Final = 12
"""Columns of a step's name."""


class Shown:
    """Shows the events of a run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(sys.stderr, time.monotonic, shown=not console.as_json)

    def __call__(self, event: Event) -> None:
        """Show one."""
        if event.what == "amount":
            self._progress.tell(event.text, *event.amount)
            return
        self._progress.clear()
        if self._console.as_json:
            self._console.data(_fields(event))
        elif event.what == "note":
            self._line(event.step, event.text)
        elif event.what in _WORDS:
            took = f" ({event.seconds:.1f} s)" if event.seconds >= 0.1 else ""
            self._line(event.step, f"{_WORDS[event.what]}{took}")

    def _line(self, step: str, text: str) -> None:
        self._console.entry(f"{step:<{_WIDTH}}{text}", indent=_WIDTH, stream="stderr")


def _fields(event: Event) -> dict[str, object]:
    fields: dict[str, object] = {"event": event.what, "step": event.step}
    if event.text:
        fields["text"] = event.text
    if event.seconds:
        fields["seconds"] = round(event.seconds, 3)
    return fields


def show_plan(console: Console, record: Record, steps: Sequence[PlannedStep]) -> None:
    """Show what a run would do, and what that costs."""
    if console.as_json:
        for step in steps:
            console.data({"step": step.name, "state": step.state, **step.planned._asdict()})
        return
    for step in steps:
        state = {"done": " (done; is looked at again)", "begun": " (begun)"}.get(step.state, "")
        _print(console, step.name, f"{step.planned.does}{state}")
        if step.planned.costs:
            _print(console, "", f"costs {step.planned.costs}")
    if not any(step.planned.costs for step in steps):
        _print(console, "", "costs nothing that is known")
    console.remark(f"nothing was done; without --dry-run: {record.command}")


def _print(console: Console, name: str, text: str) -> None:
    console.entry(f"{name:<{_WIDTH}}{text}", indent=_WIDTH)
