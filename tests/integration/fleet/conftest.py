"""A relay with the machine `build-7`, and one that is absent, for modules that start no fleet of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clove.client.remote import RemoteClient
from tests.integration.fleet.fleet_processes import Fleet, running_fleet


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.join("build-7")
        fleet.ask("POST", "/machines", {"machine_id": "absent"})
        yield fleet


@pytest.fixture
def admin(fleet: Fleet) -> Iterator[RemoteClient]:
    """What it has started ends with the test."""
    with fleet.client("build-7", fleet.admin) as client:
        yield client
        for each in client.list_agents():
            client.kill(agent_id=each["id"])
