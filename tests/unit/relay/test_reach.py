"""What a token opened to a machine ends when it does not reach the machine any more."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import Unavailable
from clove.relay.machines.machines import Machines
from clove.relay.machines.reach import Reach
from clove.relay.records import EVERY_MACHINE, Identity, MachineRecord, Targets, TokenKind
from clove.relay.tokens.tokens import Tokens

PROD = {"env": "prod"}


def agent(**targets: Any) -> Identity:
    return Identity(token_id="t", kind=TokenKind.AGENT, targets=Targets(**targets))


def test_only_what_does_not_reach_it_any_more_ends() -> None:
    reach, ended = Reach(), list[str]()
    admin = Identity(token_id="a", kind=TokenKind.ADMIN, targets=EVERY_MACHINE)
    for name, identity, machine in (
        ("by label", agent(labels=PROD), "m1"),
        ("by both", agent(labels={**PROD, "zone": "a"}), "m1"),
        ("by name", agent(machines=("m1",)), "m1"),
        ("admin", admin, "m1"),
        ("elsewhere", agent(labels=PROD), "m2"),
    ):
        reach.watch(identity, machine, lambda reason, name=name: ended.append(f"{name}: {reason}"))  # type: ignore[misc] # a default that mypy cannot infer
    reach.changed("m1", {**PROD, "zone": "a", "more": "x"})
    assert ended == []
    reach.changed("m1", PROD)
    assert ended == ["by both: its token does not reach the machine any more"]
    reach.changed("m1", {})
    assert ended[1:] == ["by label: its token does not reach the machine any more"]
    reach.changed("m1", None)
    assert [each.partition(":")[0] for each in ended[2:]] == ["by name", "admin"]
    assert reach.watched() == ["m2"]


def test_what_has_ended_by_itself_is_forgotten() -> None:
    reach, ended = Reach(), list[str]()
    stop = reach.watch(agent(labels=PROD), "m1", ended.append)
    stop()
    stop()
    reach.changed("m1", {})
    assert (ended, reach.watched()) == ([], [])


def test_one_that_cannot_be_ended_keeps_no_other_from_it(logged_failures: Any) -> None:
    reach, ended = Reach(), list[str]()

    def broken(reason: str) -> None:
        raise RuntimeError(reason)

    reach.watch(agent(labels=PROD), "m1", broken)
    reach.watch(agent(labels=PROD), "m1", ended.append)
    reach.changed("m1", {})
    assert len(ended) == 1
    assert len(logged_failures.flush(RuntimeError)) == 1


class Held:
    """A store whose answers the test gives."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []

    def machine(self, machine_id: str) -> Deferred[Any]:
        self.asked.append(Deferred())
        return self.asked[-1]


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def machines(held: Held) -> Machines:
    store: Any = held
    return Machines(store, Tokens(store, Clock(), lambda: 0.0), lambda: 0.0)


def record(**labels: str) -> MachineRecord:
    return MachineRecord(machine_id="m1", labels=labels, created=0.0)


def test_what_was_read_before_a_change_that_is_known_is_read_again(
    machines: Machines, held: Held
) -> None:
    """Its answer came after the change was told: by it the caller would be let in, watched too late."""
    found: list[bool] = []
    asked = Deferred.fromCoroutine(machines.may_reach(agent(labels=PROD), "m1"))
    asked.addCallback(found.append)
    machines.reach.changed("m1", {})
    held.asked[0].callback(record(env="prod"))
    assert found == []
    held.asked[1].callback(record())
    assert found == [False]
    assert not machines.reach._readers


def test_a_change_of_another_machine_is_none(machines: Machines, held: Held) -> None:
    found: list[bool] = []
    asked = Deferred.fromCoroutine(machines.may_reach(agent(labels=PROD), "m1"))
    asked.addCallback(found.append)
    machines.reach.changed("m2", {})
    held.asked[0].callback(record(env="prod"))
    assert found == [True]


def test_a_machine_that_changes_all_the_time_is_reached_by_none(
    machines: Machines, held: Held
) -> None:
    asked = Deferred.fromCoroutine(machines.may_reach(agent(labels=PROD), "m1"))
    failed: list[Any] = []
    asked.addErrback(failed.append)
    while not failed:
        machines.reach.changed("m1", PROD)
        held.asked[-1].callback(record(env="prod"))
    assert failed[0].check(Unavailable)
