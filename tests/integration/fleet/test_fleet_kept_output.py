"""What a relay keeps of an agent's output for a reader that may come back, beside another relay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clove.client.fleet import FleetClient
from clove.errors import NotFound
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.two_relays import Relays, two_relays
from tests.postgresql import PostgreSQL
from tests.waiting import until


@pytest.fixture
def relays(postgresql: PostgreSQL) -> Iterator[Relays]:
    with two_relays(postgresql) as both:
        yield both


def client_of(fleet: Fleet, token: str = "") -> FleetClient:
    return fleet.api(token)


def read_to_end(client: FleetClient, agent: int) -> bytes:
    """By a stream that the relay keeps for a while afterwards."""
    found = client.stream("one", agent, attach=True)
    return b"".join(fields["data"] for kind, fields in found if kind == "output")


def joined(here: Fleet, there: Fleet) -> None:
    """A machine with a tunnel to the second, of which the first has heard."""
    there.join("one")

    def connected() -> bool:
        return bool(here.ask("GET", "/machines/one")["presence"] == "connected")

    until(connected, "the machine is connected")


def deployed(client: FleetClient, text: str) -> int:
    return int(client.deploy("one", "work.py", f"print({text!r})", attach=True)["agent_id"])


def test_that_of_a_machine_that_was_removed_at_one_relay_is_given_by_none(relays: Relays) -> None:
    """Agents of another machine with its name have the same numbers."""
    here, there = relays
    client = client_of(here)
    joined(here, there)
    agent = deployed(client, "before")
    assert read_to_end(client, agent) == b"before\n"
    there.ask("DELETE", "/machines/one")
    joined(here, there)
    assert deployed(client, "after") == agent
    assert read_to_end(client, agent) == b"after\n"


def test_that_of_a_machine_which_a_token_reaches_no_more_is_not_given_to_its_bearer(
    relays: Relays,
) -> None:
    here, there = relays
    joined(here, there)
    here.ask("PATCH", "/machines/one", {"labels": {"env": "prod"}})
    made = here.ask("POST", "/tokens/agent", {"labels": {"env": "prod"}})
    client = client_of(here, made["token"])
    agent = deployed(client, "before")
    assert read_to_end(client, agent) == b"before\n"
    here.ask("PATCH", "/machines/one", {"labels": {}})
    with pytest.raises(NotFound):
        read_to_end(client, agent)
