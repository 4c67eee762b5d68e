"""A relay, kernels with tunnels and remote callers, as users have them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clove.client.remote import RemoteClient
from tests.integration.fleet.fleet_processes import Fleet, running_fleet


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A relay with one machine."""
    with running_fleet() as fleet:
        fleet.join("one")
        yield fleet


@pytest.fixture
def remote(fleet: Fleet) -> Iterator[RemoteClient]:
    """A remote caller on it."""
    with fleet.client("one") as client:
        yield client


def test_a_remote_caller_is_answered_by_the_kernel(remote: RemoteClient) -> None:
    assert remote.noop(b"still there?") == b"still there?"
    assert remote.agent_id >= 1 << 31
    assert remote.list_agents() == []
