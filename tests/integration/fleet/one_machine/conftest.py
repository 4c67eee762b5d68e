"""A relay with the machine `one`, and the first admin's client of its REST API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clove.client.fleet import FleetClient
from tests.integration.fleet.fleet_processes import Fleet, running_fleet


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.join("one")
        yield fleet


@pytest.fixture
def admin(fleet: Fleet) -> FleetClient:
    return fleet.api()
