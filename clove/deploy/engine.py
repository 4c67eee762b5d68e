"""Carries out the steps of a deployment, resumes and undoes them. The world is asked, not the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from clove._version import __version__
from clove.deploy.journal import Journal, Record
from clove.deploy.step import Event, Facts, Planned, Progress, Report, Step, Target
from clove.errors import CloveError, InvalidRequest

__all__ = ["PlannedStep", "StepFailed", "begin", "carry_out", "check_same", "plan", "undo"]


class StepFailed(CloveError):
    """A step could not be done or undone.

    @ivar step: its name.
    @ivar cause: why.
    """

    def __init__(self, step: str, cause: CloveError, hint: str) -> None:
        super().__init__(f"{step}: {cause.message}", rule=cause.rule, hint=hint)
        self.code = cause.code  # type: ignore[misc] # an error of the kind that it was
        self.step = step
        self.cause = cause


class PlannedStep(NamedTuple):
    """A step of a plan, and how far it is."""

    name: str
    state: str
    planned: Planned


def plan(target: Target, record: Record | None) -> list[PlannedStep]:
    """What a run would do. Asks nothing but the journal.

    @return: with C{new}, C{begun} or C{done} as state.
    """
    facts = record.facts if record else {}
    found = []
    for step in target.steps:
        entry = record.entry(step.name) if record else None
        state = "new" if entry is None or entry.state == "undone" else entry.state
        found.append(PlannedStep(step.name, state, step.plan(facts)))
    return found


def check_same(record: Record, new: Record, changeable: Sequence[str] = ()) -> None:
    """A deployment goes on with what it was begun with; as long as nothing is made but register, otherwise, too.

    @param changeable: options that may change from one run to the next.
    @raise InvalidRequest: something else was said, which is named.
    """
    made = [entry.step for entry in record.steps if entry.state != "undone"]
    if not made:
        return
    differ = [] if record.target == new.target else [f"target {record.target}"]
    differ += [] if record.relay == new.relay else [f"relay {record.relay}"]
    if not differ and record.machines == new.machines and made == ["register"]:
        return
    for key in sorted({*record.options, *new.options} - {*changeable}):
        if record.options.get(key) != new.options.get(key):
            differ.append(f"{key.replace('_', '-')} {_said(record.options.get(key))}")
    if differ:
        raise InvalidRequest(
            f"{record.name} was begun with {', '.join(differ)}",
            hint=f"go on with: {record.command}; or undo it first: {record.command} --destroy; "
            "or choose another --name",
        )


def _said(value: Any) -> str:
    return "not said" if value is None or value == "" else str(value)


def begin(journal: Journal, new: Record, changeable: Sequence[str] = ()) -> None:
    """Begin a deployment, or go on with one.

    @raise InvalidRequest: it was begun with something else.
    """
    old = journal.record
    if old is None:
        journal.write(new)
        return
    check_same(old, new, changeable)
    kept = ("created", "previous", "upgrading", "goal", "steps")
    changed = msgspec.structs.replace(new, **{name: getattr(old, name) for name in kept})
    if changed != old:
        journal.write(changed)


def carry_out(
    journal: Journal,
    target: Target,
    report: Report,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Do what is not done yet; gives the facts of all steps.

    @raise StepFailed: one could not be done; the journal has those before it.
    @raise InvalidRequest: an upgrade was begun, and has not ended.
    """
    record = _record(journal)
    _check_known(record, target)
    if record.upgrading:
        raise InvalidRequest(
            f"an upgrade of {record.name} from {record.previous} has not ended",
            hint=f"go on with: clove deploy upgrade {record.name}; or back, with --back",
        )
    for step in target.steps:
        since = clock()
        report(Event(step.name, "begin"))
        try:
            facts, found = _advance(journal, step, Progress(step.name, report))
        except CloveError as error:
            report(Event(step.name, "failed", error.message, clock() - since))
            raise _failed(step, error, f"go on with: {record.command}") from error
        journal.note(step.name, "done", facts)
        report(Event(step.name, "found" if found else "done", seconds=clock() - since))
    return _record(journal).facts


def _advance(journal: Journal, step: Step, progress: Progress) -> tuple[Facts, bool]:
    """Look, and do what is not there; gives its facts, and whether it was there."""
    entry = _record(journal).entry(step.name)
    fresh = entry is None or entry.state == "undone"
    if fresh:
        journal.note(step.name, "begun", {})
    try:
        facts = step.look(_record(journal).facts)
    except CloveError:
        if fresh:
            journal.note(step.name, "undone", {})  # it was only looked at
        raise
    if facts is not None:
        return facts, True
    if not fresh:
        journal.note(step.name, "begun")
    return step.do(_record(journal).facts, progress), False


def undo(
    journal: Journal,
    target: Target,
    report: Report,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Take away what the journal lists, the latest first, and nothing else; then forget it.

    @raise StepFailed: something could not be taken away; the same again goes on.
    """
    record = _record(journal)
    _check_known(record, target)
    steps = {step.name: step for step in target.steps}
    for entry in reversed(record.steps):
        if entry.state == "undone":
            continue
        since, step = clock(), steps[entry.step]
        report(Event(step.name, "undoing"))
        try:
            step.undo(record.facts, Progress(step.name, report))
        except CloveError as error:
            report(Event(step.name, "failed", error.message, clock() - since))
            raise _failed(step, error, f"go on with: {record.command} --destroy") from error
        journal.note(step.name, "undone")
        report(Event(step.name, "undone", seconds=clock() - since))
    journal.remove()


def _failed(step: Step, error: CloveError, then: str) -> StepFailed:
    return StepFailed(step.name, error, f"{error.hint}; {then}" if error.hint else then)


def _record(journal: Journal) -> Record:
    assert journal.record is not None
    return journal.record


def _check_known(record: Record, target: Target) -> None:
    """@raise InvalidRequest: the journal has a step that the target does not know."""
    known = {step.name for step in target.steps}
    for entry in record.steps:
        if entry.step not in known:
            raise InvalidRequest(
                f"this Clove ({__version__}) knows no step {entry.step!r} of {record.target}",
                hint=f"use the version that wrote it ({record.clove}), or a newer one",
            )
