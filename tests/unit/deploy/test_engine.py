"""Steps are done, resumed and undone, whatever a killed run has left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clove.deploy.engine import StepFailed, begin, carry_out, check_same, plan, undo
from clove.deploy.journal import Entry, Journal
from clove.deploy.step import Event
from clove.errors import InvalidRequest
from tests.contracts.deployment import Deployment, check_killed_everywhere
from tests.unit.deploy.directory_target import FileTarget, record


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "world").mkdir()
    return tmp_path / "world"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.locked("d", tmp_path / "deployments") as journal:
        yield journal


def states(journal: Journal) -> dict[str, str]:
    assert journal.record is not None
    return {entry.step: entry.state for entry in journal.record.steps}


def test_steps_are_done_in_order_and_told(world: Path, journal: Journal) -> None:
    target, told = FileTarget(world), list[Event]()
    begin(journal, record())
    facts = carry_out(journal, target, told.append, clock=lambda: 0.0)
    assert facts == {"one": "first", "two": "one", "three": "one,two"}
    assert [event[:2] for event in told if event.step == "two"] == [
        ("two", "begin"),
        ("two", "note"),
        ("two", "done"),
    ]
    assert states(journal) == dict.fromkeys(("one", "two", "three"), "done")


def test_what_is_there_is_not_done_again(world: Path, journal: Journal) -> None:
    begin(journal, record())
    carry_out(journal, FileTarget(world), lambda event: None)
    target, told = FileTarget(world), list[Event]()
    carry_out(journal, target, told.append)
    assert target.calls == ["look one", "look two", "look three"]
    assert {event.what for event in told} == {"begin", "found"}


def test_the_world_is_asked_and_not_the_journal(world: Path, journal: Journal) -> None:
    begin(journal, record())
    carry_out(journal, FileTarget(world), lambda event: None)
    (world / "two").unlink()
    target = FileTarget(world)
    carry_out(journal, target, lambda event: None)
    assert [call for call in target.calls if call.startswith("do")] == ["do two"]


def test_a_failure_names_step_reason_and_how_to_go_on(world: Path, journal: Journal) -> None:
    target = FileTarget(world)
    target.steps[1].fails = True
    begin(journal, record())
    with pytest.raises(StepFailed) as failed:
        carry_out(journal, target, lambda event: None)
    assert failed.value.message == "two: the disk is full"
    assert failed.value.hint == "make room; go on with: clove deploy file d"
    assert failed.value.fields()["code"] == "unavailable"
    assert states(journal) == {"one": "done", "two": "begun"}
    target.steps[1].fails = False
    carry_out(journal, target, lambda event: None)
    assert states(journal)["three"] == "done"


def test_undoing_takes_what_the_journal_lists_in_reverse_and_nothing_else(
    world: Path, journal: Journal
) -> None:
    target = FileTarget(world)
    target.steps[1].fails = True
    begin(journal, record())
    with pytest.raises(StepFailed):
        carry_out(journal, target, lambda event: None)
    target.steps[1].fails = False
    (world / "three").write_text("somebody else's")
    target.calls.clear()
    undo(journal, target, lambda event: None)
    assert target.calls == ["undo two", "undo one"]
    assert [path.name for path in world.iterdir()] == ["three"]
    assert journal.record is None


def test_an_undo_that_fails_goes_on_later(world: Path, journal: Journal) -> None:
    target = FileTarget(world)
    begin(journal, record())
    carry_out(journal, target, lambda event: None)
    target.steps[1].fails = True
    with pytest.raises(StepFailed, match="two: it is in use") as failed:
        undo(journal, target, lambda event: None)
    assert failed.value.hint == "go on with: clove deploy file d --destroy"
    assert states(journal) == {"one": "done", "two": "done", "three": "undone"}
    target.steps[1].fails = False
    target.calls.clear()
    undo(journal, target, lambda event: None)
    assert target.calls == ["undo two", "undo one"]


def test_other_options_are_named_and_refused() -> None:
    old = record(port=22, count=1, user="ann")
    old.steps.append(Entry(step="one", state="done", at=0.0))
    with pytest.raises(InvalidRequest, match="port 22, user ann") as refused:
        check_same(old, record(port=23, count=2), ("count",))
    assert "clove deploy file d" in refused.value.hint
    check_same(old, record(port=22, count=5, user="ann"), ("count",))


def test_options_may_change_as_long_as_nothing_is_made_by_them(journal: Journal) -> None:
    begin(journal, record(port=22))
    journal.note("register", "done", {})
    journal.note("host", "undone", {})
    begin(journal, record(port=23))
    journal.note("host", "begun", {})
    with pytest.raises(InvalidRequest, match="port 23"):
        begin(journal, record(port=24))


def test_before_anything_was_begun_all_may_change(journal: Journal) -> None:
    begin(journal, record(port=22))
    journal.note("register", "undone", {})
    other = msgspec.structs.replace(record(port=23), relay="http://127.0.0.1:2")
    begin(journal, other)
    assert journal.record is not None
    assert (journal.record.relay, journal.record.options) == (other.relay, {"port": 23})
    journal.note("register", "done", {})
    with pytest.raises(InvalidRequest, match=r"relay http://127\.0\.0\.1:2"):
        begin(journal, record(port=23))


def test_a_step_that_cannot_be_looked_at_has_not_begun(world: Path, journal: Journal) -> None:
    target = FileTarget(world)
    target.steps[1].cannot_look = True
    begin(journal, record())
    with pytest.raises(StepFailed, match="two: no permission"):
        carry_out(journal, target, lambda event: None)
    assert states(journal) == {"one": "done", "two": "undone"}
    target.steps[1].cannot_look = False
    carry_out(journal, target, lambda event: None)
    target.steps[1].cannot_look = True
    with pytest.raises(StepFailed):
        carry_out(journal, target, lambda event: None)
    assert states(journal)["two"] == "done"


def test_an_option_that_may_change_is_kept(journal: Journal) -> None:
    begin(journal, record(count=1))
    journal.note("one", "done", {})
    begin(journal, record(count=2), ("count",))
    assert journal.record is not None
    assert journal.record.options == {"count": 2}


def test_a_plan_asks_nothing_and_says_how_far_it_is(world: Path, journal: Journal) -> None:
    target = FileTarget(world)
    planned = plan(target, None)
    assert (planned[0].name, planned[0].state, *planned[0].planned) == (
        "one",
        "new",
        "make one",
        "nothing",
    )
    begin(journal, record())
    journal.note("one", "done", {})
    journal.note("two", "begun", {})
    journal.note("three", "undone", {})
    assert [step.state for step in plan(target, journal.record)] == ["done", "begun", "new"]
    assert target.calls == []


def test_a_step_that_this_version_does_not_know_is_refused(world: Path, journal: Journal) -> None:
    old = msgspec.structs.replace(record(), steps=[Entry(step="four", state="done", at=0.0)])
    journal.write(old)
    for act in (carry_out, undo):
        with pytest.raises(InvalidRequest, match="knows no step 'four'"):
            act(journal, FileTarget(world), lambda event: None)


def test_killed_at_every_point_it_comes_to_the_same_end(world: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"

    def there() -> dict[str, str]:
        kept = [path for path in state.rglob("*") if path.is_file()]
        names = {str(path.relative_to(state)): "" for path in kept if path.name != "journal.json"}
        return names | {path.name: path.read_text() for path in world.iterdir()}

    kills = check_killed_everywhere(
        Deployment(
            words=["make"],
            undo=["undo"],
            world=lambda: {name: text for name, text in there().items() if "lock" not in name},
            tmp_path=tmp_path,
            environ={"XDG_STATE_HOME": str(state), "WORLD": str(world)},
            code="from tests.unit.deploy.directory_target import main; main()",
        )
    )
    assert kills >= 20
    assert not list((state / "clove" / "deployments").iterdir())
