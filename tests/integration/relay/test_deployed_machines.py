"""Machines of a deployment at a relay: registered, given a token, taken away; resumed wherever a run was killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.client.fleet import FleetClient
from clove.deploy.enrol import Register, Tunnel
from clove.deploy.relay import Enrolment, Relay
from clove.deploy.step import Progress
from clove.errors import AlreadyExists, TimedOut
from tests.integration.relay.relay_process import RelayProcess, relay_process

PROGRESS = Progress("register", lambda event: None)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    with relay_process(tmp_path_factory.mktemp("relay")) as running:
        yield running


@pytest.fixture
def fleet(process: RelayProcess) -> FleetClient:
    return FleetClient(f"http://127.0.0.1:{process.port}", process.admin)


@pytest.fixture
def relay(fleet: FleetClient) -> Relay:
    return Relay("http://127.0.0.1", "ws://127.0.0.1", lambda: fleet)


def valid(fleet: FleetClient, machine: str) -> list[tuple[str, str]]:
    found = [each for each in fleet.tokens() if each["machine_id"] == machine and each["valid"]]
    return [(each["type"], each["name"]) for each in found]


def test_registered_machines_have_labels_and_no_token(relay: Relay, fleet: FleetClient) -> None:
    step = Register(Enrolment(relay, "r", ["r-1", "r-2"], {"env": "x"}, "ssh"))
    assert step.look({}) is None
    assert step.do({}, PROGRESS) == {"machines": ["r-1", "r-2"]}
    assert step.look({}) == {"machines": ["r-1", "r-2"]}
    for machine in ("r-1", "r-2"):
        found = fleet.machine(machine)
        assert found["labels"] == {"env": "x", "deployment": "r"}
        assert (found["provider"], found["name"]) == ("ssh", "")
        assert valid(fleet, machine) == []
    step.undo({}, PROGRESS)
    step.undo({"machines": ["r-1", "r-2"]}, PROGRESS)
    assert not [each for each in fleet.machines() if each["machine_id"].startswith("r-")]


def test_a_machine_that_others_registered_is_neither_taken_nor_removed(
    relay: Relay, fleet: FleetClient
) -> None:
    fleet.add_machine("theirs", labels={"deployment": "another"})
    step = Register(Enrolment(relay, "theirs", ["theirs"]))
    assert step.look({}) is None
    with pytest.raises(AlreadyExists, match="did not make"):
        step.do({}, PROGRESS)
    step.undo({"machines": ["theirs"]}, PROGRESS)
    assert fleet.machine("theirs")["labels"] == {"deployment": "another"}
    assert valid(fleet, "theirs") == [("machine", "")]


def test_a_token_that_registering_made_is_revoked_after_a_kill(
    relay: Relay, fleet: FleetClient
) -> None:
    enrolment = Enrolment(relay, "half", ["half"])
    fleet.add_machine("half", name="deploy half", labels={"deployment": "half"})
    assert valid(fleet, "half") == [("machine", "deploy half")]
    step = Register(enrolment)
    assert step.look({}) is None
    step.do({}, PROGRESS)
    assert valid(fleet, "half") == []
    assert step.look({}) is not None


def test_a_fresh_token_takes_the_place_of_a_lost_one(relay: Relay, fleet: FleetClient) -> None:
    enrolment = Enrolment(relay, "t", ["t"])
    assert not enrolment.waiting_token("t")
    other = fleet.issue_token("join", machine_id="t", name="by hand")
    first, second = enrolment.fresh_token("t"), enrolment.fresh_token("t")
    assert first != second
    assert sorted(valid(fleet, "t")) == [("join", "by hand"), ("join", "deploy t")]
    assert enrolment.waiting_token("t")
    enrolment.revoke_tokens("t")
    assert valid(fleet, "t") == [("join", "by hand")]
    fleet.revoke_token(other["id"])


def test_a_tunnel_that_does_not_come_is_told_with_where_to_look(
    relay: Relay, process: RelayProcess
) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    step = Tunnel(
        Enrolment(relay, "n", ["n-1"]),
        lambda facts: f"ssh {facts['address']} journalctl -u clove-kernel",
        seconds=3.0,
        clock=lambda: now[0],
        sleep=sleep,
    )
    with pytest.raises(TimedOut, match="n-1 did not connect within 3 s") as late:
        step.do({"address": "n"}, PROGRESS)
    assert late.value.hint == "ssh n journalctl -u clove-kernel"
    assert now[0] == 3.0


def test_a_relay_is_asked_for_when_it_is_needed(tmp_path: Path) -> None:
    def connect() -> Any:
        raise AssertionError("the token is read")

    relay = Relay("http://127.0.0.1:1", "ws://127.0.0.1:1", connect)
    for step in (Register(Enrolment(relay, "p", ["p"])), Tunnel(Enrolment(relay, "p", ["p"]), str)):
        assert "p" in step.plan({}).does
