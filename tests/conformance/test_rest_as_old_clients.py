"""The relay's REST API as old clients call it: the routes of docs/wire.md, said a little differently."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.fleet.fleet_processes import Fleet, running_fleet

ROUTES = ("/health", "/status", "/machines", "/machines/m", "/agents", "/agents?machine_id=m")
ROUTES_OF_TOKENS = ("/tokens",)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        fleet.ask("POST", "/machines", {"machine_id": "m", "provider": "p", "metadata": {"a": 1}})
        yield fleet


def asked(fleet: Fleet, method: str, path: str, header: str = "Authorization") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=20)
    connection.request(method, f"/api/v1{path}", headers={header: f"bearer {fleet.admin}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def with_slash(path: str) -> str:
    path, _, query = path.partition("?")
    return f"{path}/?{query}" if query else f"{path}/"


@pytest.mark.parametrize("path", [*ROUTES, *ROUTES_OF_TOKENS])
def test_a_slash_more_a_header_in_capitals_and_head_change_nothing(fleet: Fleet, path: str) -> None:
    status, body = asked(fleet, "GET", path)
    assert status == 200
    json.loads(body)
    assert asked(fleet, "GET", with_slash(path), "AUTHORIZATION")[0] == 200
    for each in (path, with_slash(path)):
        assert asked(fleet, "HEAD", each, "authorization") == (200, b"")


@pytest.mark.parametrize("path", ["/machines//", "//machines", "/machines/m//", "/health/x"])
def test_other_paths_are_none(fleet: Fleet, path: str) -> None:
    assert asked(fleet, "GET", path)[0] == 404


def test_a_slash_more_needs_a_token_as_well(fleet: Fleet) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=20)
    connection.request("GET", "/api/v1/tokens/")
    assert connection.getresponse().status == 401
    connection.close()


def test_a_machine_has_the_pages_fields(fleet: Fleet) -> None:
    machine: dict[str, Any] = fleet.ask("GET", "/machines/m/")
    names = {
        "machine_id",
        "provider",
        "status",
        "ip_address",
        "created_at",
        "last_seen",
        "metadata",
    }
    assert names <= set(machine)
    assert (machine["provider"], machine["metadata"]) == ("p", {"a": 1})
    assert machine["status"] == "disconnected"
