"""A deploy on several machines that is asked for again with its key, while other machines come and go."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

from clove.client.fleet import FleetClient
from tests.integration.fleet.fleet_processes import Fleet

WAITS = "import time\ntime.sleep(100)\n"


@contextlib.contextmanager
def keyed(fleet: Fleet, key: str, body: object) -> Iterator[http.client.HTTPResponse]:
    """What comes of a deploy with an idempotency key."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
    headers = {"Authorization": f"Bearer {fleet.admin}", "Idempotency-Key": key}
    connection.request("POST", "/api/v1/agents/deploy", json.dumps(body), headers)
    with contextlib.closing(connection), connection.getresponse() as reply:
        yield reply


def test_a_repeated_request_for_several_is_about_the_machines_that_the_first_has_chosen(
    admin: FleetClient, fleet: Fleet
) -> None:
    admin.change_machine("one", labels={"set": "k"})
    body: dict[str, Any] = {"script_name": "w.py", "script_content": WAITS}
    chosen = {"selector": {"labels": {"set": "k"}}, **body}
    with keyed(fleet, "set-1", chosen) as reply:
        first = json.load(reply)
    admin.add_machine("later", labels={"set": "k"})
    admin.change_machine("one", labels={})
    with keyed(fleet, "set-1", chosen) as reply:
        assert json.load(reply) == first
    with keyed(fleet, "set-2", chosen) as reply:
        found = json.load(reply)["results"]
    assert [(each["machine_id"], each["status"]) for each in found] == [("later", "unavailable")]
    for other in (
        {"selector": {"all": True}, **body},
        {"machine_id": "one", **body},
    ):
        with keyed(fleet, "set-1", other) as reply:
            assert (reply.status, "Idempotency-Key" in json.load(reply)["error"]) == (400, True)
    [result] = first["results"]
    agents = [each for each in admin.machine_agents("one") if each["name"] == result["agent_name"]]
    assert [each["id"] for each in agents] == [result["agent_id"]]
    admin.stop_agent("one", result["agent_id"])
    admin.remove_machine("later")
