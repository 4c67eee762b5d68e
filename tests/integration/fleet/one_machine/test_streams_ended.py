"""A stream with attach of an agent that has ended already."""

from __future__ import annotations

import pytest

from clove.client.fleet import FleetClient
from tests.waiting import until


def await_end(client: FleetClient, agent: int) -> None:
    until(
        lambda: agent not in [each["id"] for each in client.machine_agents("one")],
        "the agent has ended",
    )


@pytest.mark.parametrize("text", ["", "print('said')\n"])
def test_an_agent_that_has_ended_already_is_read_to_its_end(admin: FleetClient, text: str) -> None:
    """Also what was never attached, and what printed nothing."""
    for attach in (True, False):
        made = admin.deploy("one", "work.py", text, attach=attach)
        agent = int(made["agent_id"])
        await_end(admin, agent)
        found = list(admin.stream("one", agent, attach=True))
        output = b"".join(fields["data"] for kind, fields in found if kind == "output")
        assert output == (b"said\n" if text else b"")
        assert (found[-1][0], found[-1][1]["exit_code"]) == ("exit", 0)
