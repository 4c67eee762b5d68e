"""Takes a deployment to another version of Clove, over the way that deployed it, and back.

The version in use is written down before anything is changed; what was killed goes on with the same command, or goes back.
What does not answer with the new version, or runs no agent there, goes back by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import msgspec

from clove.deploy.engine import StepFailed
from clove.deploy.enrol import Tunnel, try_agent
from clove.deploy.journal import Journal, Record
from clove.deploy.relay import Enrolment
from clove.deploy.step import Event, Facts, KeepsReleases, Progress, Report, Target, Upgradable
from clove.errors import CloveError, InvalidRequest, NotFound

__all__ = ["change_back", "upgradable", "upgrade"]

STEP = "upgrade"


def upgradable(target: Target, record: Record) -> Upgradable:
    """The target, if its machines can be upgraded now.

    @raise InvalidRequest: they cannot; or nothing is deployed.
    """
    if not hasattr(target, "upgrade"):
        why = getattr(target, "not_upgradable", "")
        raise InvalidRequest(
            f"a deployment to {record.target} cannot be upgraded in place{why and f': {why}'}",
            hint=f"deploy another one beside it, then: {record.command} --destroy",
        )
    smoke = record.entry("smoke")
    if smoke is None or smoke.state != "done":
        raise InvalidRequest(
            f"{record.name} is not deployed yet", hint=f"go on with: {record.command}"
        )
    return cast("Upgradable", target)


def upgrade(
    journal: Journal,
    target: Upgradable,
    enrolment: Enrolment,
    report: Report,
    *,
    version: str = "",
    bundle: str = "",
) -> str:
    """Use another version, and prove it.

    @param version: "": that of the bundle, or of this command.
    @param bundle: path of a bundle; "": the target makes or finds one.
    @return: the version in use then.
    @raise StepFailed: the new one does not work, and the one before is in use again; or neither works.
    """
    facts = _record(journal).facts
    return _change(
        journal,
        target,
        enrolment,
        report,
        lambda progress: target.upgrade(facts, version, bundle, progress),
    )


def change_back(journal: Journal, target: Upgradable, enrolment: Enrolment, report: Report) -> str:
    """Use the version again that was in use before the last upgrade, and prove it; gives it.

    @raise NotFound: there was no upgrade.
    @raise StepFailed: it does not work, and the one that was in use is so again; or neither works.
    """
    record = _record(journal)
    goal = record.goal or record.previous
    if not goal:
        raise NotFound(
            f"{record.name} was not upgraded from here",
            hint=f"what is known of it: clove deploy show {record.name}",
        )
    progress = Progress(STEP, report)
    if record.upgrading and not record.goal:
        # The version in use was never proven, so there is none to return to if this fails.
        _use_again(target, enrolment, progress, goal, record.facts)
        _write(journal, previous="", upgrading=False)
        return goal
    _write(journal, goal=goal)

    def use(progress: Progress) -> str:
        target.change_back(record.facts, goal, progress)
        return goal

    return _change(journal, target, enrolment, report, use)


def _change(
    journal: Journal,
    target: Upgradable,
    enrolment: Enrolment,
    report: Report,
    change: Callable[[Progress], str],
) -> str:
    """Change to another version and prove it; where that fails, use the one before again."""
    record = _record(journal)
    before = record.previous if record.upgrading else target.installed(record.facts)
    _write(journal, previous=before, upgrading=True)
    progress = Progress(STEP, report)
    try:
        since, here = _since(enrolment), target.installed(record.facts)
        now = change(progress)
        if now == here:
            progress.note(f"{now} is in use already")
        _prove(enrolment, {} if now == here else since, record.facts, progress)
    except CloveError as error:
        report(Event(STEP, "failed", error.message))
        _return(journal, target, enrolment, progress, error, fresh=not record.upgrading)
    kept = record.previous if now == before and not record.upgrading else before
    _write(journal, previous=kept, upgrading=False, goal="")
    if now != kept:
        _remove_older(target, record.facts, kept, progress)
    return now


def _remove_older(target: Upgradable, facts: Facts, kept: str, progress: Progress) -> None:
    """Keep the version in use and the one to go back to; what cannot be removed is so after the next upgrade."""
    if not kept or not isinstance(target, KeepsReleases):
        return
    try:
        target.remove_older(facts, kept)
    except CloveError as error:
        progress.note(error.message)


def _return(
    journal: Journal,
    target: Upgradable,
    enrolment: Enrolment,
    progress: Progress,
    error: CloveError,
    *,
    fresh: bool,
) -> None:
    """Go back after a failure, and say so.

    @param fresh: no earlier run has begun the change: where the version is the same still, nothing was touched.
    @raise StepFailed: always.
    """
    record = _record(journal)
    before = record.previous
    back = f"clove deploy upgrade {record.name} --back"
    try:
        if not fresh or target.installed(record.facts) != before:
            progress.note(f"goes back to {before}: {error.message}")
            _use_again(target, enrolment, progress, before, record.facts)
    except CloveError as worse:
        hint = f"going back to {before} failed as well ({worse.message}); try: {back}"
        raise StepFailed(STEP, error, hint) from error
    _write(journal, previous="", upgrading=False, goal="")
    hint = f"{before} is in use again; {error.hint}".rstrip("; ")
    raise StepFailed(STEP, error, hint) from error


def _use_again(
    target: Upgradable, enrolment: Enrolment, progress: Progress, version: str, facts: Facts
) -> None:
    since = {} if target.installed(facts) == version else _since(enrolment)
    target.change_back(facts, version, progress)
    _prove(enrolment, since, facts, progress)


def _since(enrolment: Enrolment) -> dict[str, str]:
    """Since when each machine is what it is."""
    found = {machine: enrolment.machine(machine) for machine in enrolment.machines}
    return {machine: str(each["presence_since"]) for machine, each in found.items() if each}


def _prove(enrolment: Enrolment, since: dict[str, str], facts: Facts, progress: Progress) -> None:
    """Each machine has a new tunnel, and runs an agent."""
    names = ", ".join(enrolment.machines)

    def where(_: Facts) -> str:
        return f"clove machines show {enrolment.machines[0]}"

    progress.note(f"waiting for {names} at the relay")
    Tunnel(enrolment, where, since=since).do(facts, progress)
    for machine in enrolment.machines:
        try_agent(enrolment.relay.fleet, machine)


def _write(journal: Journal, **changed: object) -> None:
    journal.write(msgspec.structs.replace(_record(journal), **changed))


def _record(journal: Journal) -> Record:
    assert journal.record is not None
    return journal.record
