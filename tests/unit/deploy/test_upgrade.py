"""Another version, proven, or the one before again; whatever a killed run has left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clove.deploy import upgrade as module
from clove.deploy.engine import StepFailed, carry_out
from clove.deploy.journal import Entry, Journal
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Progress
from clove.deploy.upgrade import change_back, upgradable, upgrade
from clove.errors import CloveError, InvalidRequest, NotFound, TimedOut, Unavailable
from tests.unit.deploy.directory_target import FileTarget, record


class Machine(FileTarget):
    """One whose version is a variable; it works with versions that are not in C{broken}."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.version = "1"
        self.there = {"1"}
        self.broken: set[str] = set()
        self.killed_in = ""

    def installed(self, facts: Facts) -> str:
        return self.version

    def upgrade(self, facts: Facts, version: str, bundle: str, progress: Progress) -> str:
        self._use(version)
        return version

    def change_back(self, facts: Facts, version: str, progress: Progress) -> None:
        if version not in self.there:
            raise NotFound(f"no {version}")
        self._use(version)

    def remove_older(self, facts: Facts, before: str) -> None:
        if "cannot remove" in self.broken:
            raise Unavailable("the connection is cut")
        self.there &= {self.version, before}

    def _use(self, version: str) -> None:
        self.there.add(version)
        self.version = version
        if version == self.killed_in:
            raise KeyboardInterrupt


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    def prove(*given: object) -> None:
        if made.version in made.broken:
            raise TimedOut(f"{made.version} did not connect", hint="its log: x")

    monkeypatch.setattr(module, "_prove", prove)
    monkeypatch.setattr(module, "_since", lambda enrolment: {})
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.locked("d", tmp_path) as journal:
        journal.write(record())
        yield journal


def to(journal: Journal, machine: Machine, version: str) -> str:
    enrolment: Any = Enrolment  # the machine's own methods say all
    return upgrade(journal, machine, enrolment, lambda event: None, version=version)


def back(journal: Journal, machine: Machine) -> str:
    enrolment: Any = Enrolment
    return change_back(journal, machine, enrolment, lambda event: None)


def kept(journal: Journal) -> tuple[str, bool, str]:
    assert journal.record is not None
    return journal.record.previous, journal.record.upgrading, journal.record.goal


def test_there_and_back_and_there_again(journal: Journal, machine: Machine) -> None:
    assert to(journal, machine, "2") == "2"
    assert kept(journal) == ("1", False, "")
    assert back(journal, machine) == "1"
    assert kept(journal) == ("2", False, "")
    assert back(journal, machine) == "2"
    assert machine.version == "2"


def test_two_versions_are_kept_and_a_failed_upgrade_removes_none(
    journal: Journal, machine: Machine
) -> None:
    to(journal, machine, "2")
    assert machine.there == {"1", "2"}
    machine.broken = {"3"}
    with pytest.raises(StepFailed):
        to(journal, machine, "3")
    assert machine.there == {"1", "2", "3"}
    to(journal, machine, "4")
    assert machine.there == {"2", "4"}
    back(journal, machine)
    assert machine.there == {"2", "4"}


def test_an_older_version_that_cannot_be_removed_is_no_failure(
    journal: Journal, machine: Machine
) -> None:
    machine.broken = {"cannot remove"}
    to(journal, machine, "2")
    assert to(journal, machine, "3") == "3"
    assert machine.there == {"1", "2", "3"}
    machine.broken = set()
    to(journal, machine, "4")
    assert machine.there == {"3", "4"}


def test_what_does_not_work_goes_back_by_itself(journal: Journal, machine: Machine) -> None:
    machine.broken = {"2"}
    with pytest.raises(StepFailed, match="2 did not connect") as failed:
        to(journal, machine, "2")
    assert failed.value.hint == "1 is in use again; its log: x"
    assert machine.version == "1"
    assert kept(journal) == ("", False, "")
    with pytest.raises(NotFound, match="was not upgraded"):
        back(journal, machine)


def test_a_way_back_that_does_not_work_is_gone_back_on(journal: Journal, machine: Machine) -> None:
    to(journal, machine, "2")
    machine.broken = {"1"}
    with pytest.raises(StepFailed, match="1 did not connect"):
        back(journal, machine)
    assert machine.version == "2"


def test_where_neither_works_the_command_is_said(journal: Journal, machine: Machine) -> None:
    machine.broken = {"1", "2"}
    with pytest.raises(StepFailed) as failed:
        to(journal, machine, "2")
    assert "going back to 1 failed as well" in failed.value.hint
    assert "clove deploy upgrade d --back" in failed.value.hint
    machine.broken = {"2"}
    assert back(journal, machine) == "1"
    assert kept(journal) == ("", False, "")


@pytest.mark.parametrize("again", ["upgrade", "back"])
def test_a_killed_upgrade_goes_on_or_back(journal: Journal, machine: Machine, again: str) -> None:
    machine.killed_in = "2"
    with pytest.raises(KeyboardInterrupt):
        to(journal, machine, "2")
    assert kept(journal) == ("1", True, "")
    with pytest.raises(InvalidRequest, match="has not ended"):
        carry_out(journal, machine, lambda event: None)
    machine.killed_in = ""
    if again == "upgrade":
        assert to(journal, machine, "2") == "2"
        assert kept(journal) == ("1", False, "")
    else:
        assert back(journal, machine) == "1"
        assert kept(journal) == ("", False, "")


def test_a_killed_way_back_goes_on(journal: Journal, machine: Machine) -> None:
    to(journal, machine, "2")
    machine.killed_in = "1"
    with pytest.raises(KeyboardInterrupt):
        back(journal, machine)
    machine.killed_in = ""
    assert back(journal, machine) == "1"
    assert kept(journal) == ("2", False, "")


def test_to_where_it_is_changes_nothing(journal: Journal, machine: Machine) -> None:
    to(journal, machine, "2")
    assert to(journal, machine, "2") == "2"
    assert kept(journal) == ("1", False, "")


def test_what_is_not_deployed_or_cannot_be_upgraded_is_refused(
    journal: Journal, machine: Machine, tmp_path: Path
) -> None:
    assert journal.record is not None
    with pytest.raises(InvalidRequest, match="cannot be upgraded in place"):
        upgradable(FileTarget(tmp_path), journal.record)
    smoke = Entry(step="smoke", state="done", at=0.0)
    deployed = msgspec.structs.replace(journal.record, steps=[smoke])
    assert upgradable(machine, deployed) is machine
    with pytest.raises(CloveError, match="is not deployed yet"):
        upgradable(machine, journal.record)


def test_a_failure_before_anything_has_changed_touches_nothing(
    journal: Journal, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> str:
        raise Unavailable("the disk is full", hint="make room")

    monkeypatch.setattr(machine, "upgrade", refuse)
    monkeypatch.setattr(machine, "change_back", None)  # nothing is started anew
    with pytest.raises(StepFailed, match="the disk is full") as failed:
        to(journal, machine, "2")
    assert failed.value.hint == "1 is in use again; make room"
    assert machine.version == "1"
