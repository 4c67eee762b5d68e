"""Two relays on one PostgreSQL: what one revokes the other cuts, and both outlive the database."""

from __future__ import annotations

import contextlib
import json
import signal
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.fleet.fleet_processes import CONFIG, Fleet
from tests.postgresql import PostgreSQL, own_postgresql
from tests.waiting import until

Relays = tuple[Fleet, Fleet]


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """One to stop."""
    with own_postgresql() as running:
        yield running


@pytest.fixture
def relays(request: pytest.FixtureRequest, postgresql: PostgreSQL) -> Iterator[Relays]:
    """Both run; on a server of the test's own, if it asks for one."""
    own = "server" in request.fixturenames
    database = (request.getfixturevalue("server") if own else postgresql).new_database()
    config = f'{CONFIG}\n[store]\npostgresql = "{database}"\n'
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(2):
            fleet = Fleet(config)
            stack.callback(fleet.stop)
            fleet.start()
            made.append(fleet)
        made[1].admin = made[0].admin  # the second has found it in the database
        yield made[0], made[1]


def status_of(fleet: Fleet, path: str, token: str = "") -> tuple[int, dict[str, Any]]:
    """What a relay answers, error or not."""
    try:
        return 200, fleet.ask("GET", path, token=token)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_what_a_token_opened_at_one_relay_is_cut_by_its_revocation_at_the_other(
    relays: Relays,
) -> None:
    first, second = relays
    second.join("one")
    made = first.ask("POST", "/tokens/agent", {"target_machine": "one"})
    with RemoteClient(second.url, "one", token=made["token"]) as client:
        client.noop()
        first.ask("DELETE", f"/tokens/{made['id']}")
        until(lambda: not second.ask("GET", "/agents")["agents"], "the remote agent is cut")
        with pytest.raises(CloveError):
            client.noop()
    assert status_of(second, "/machines", made["token"])[0] == 401


def test_a_label_that_is_taken_away_at_one_relay_from_a_token_or_a_machine_cuts_at_the_other(
    relays: Relays,
) -> None:
    first, second = relays
    second.join("one")
    first.ask("PATCH", "/machines/one", {"labels": {"env": "prod"}})
    scope = {"labels": {"env": "prod"}, "target_machines": ["other"]}
    made = first.ask("POST", "/tokens/agent", scope)
    with RemoteClient(second.url, "one", token=made["token"]) as client:
        client.noop()
        first.ask("PATCH", f"/tokens/{made['id']}", {"labels": {}})
        until(lambda: not second.ask("GET", "/agents")["agents"], "the remote agent is cut")
        with pytest.raises(CloveError):
            client.noop()
    made = first.ask("POST", "/tokens/agent", {"labels": {"env": "prod"}})
    with RemoteClient(second.url, "one", token=made["token"]) as client:
        client.noop()
        first.ask("PATCH", "/machines/one", {"labels": {}})
        until(lambda: not second.ask("GET", "/agents")["agents"], "the remote agent is cut")
        with pytest.raises(CloveError):
            client.noop()


def test_a_machine_that_is_removed_at_one_relay_loses_its_tunnel_at_the_other(
    relays: Relays,
) -> None:
    first, second = relays
    second.join("one")
    first.ask("DELETE", "/machines/one")
    until(lambda: not second.ask("GET", "/status")["machines_connected"], "the tunnel is cut")


def test_without_the_database_no_stranger_comes_in_and_what_is_open_goes_on(
    relays: Relays, server: PostgreSQL
) -> None:
    first, second = relays
    second.join("one")
    token = second.agent_token("one")
    doomed = first.ask("POST", "/tokens/agent", {"target_machine": "one"})
    with (
        RemoteClient(second.url, "one", token=token) as client,
        RemoteClient(second.url, "one", token=doomed["token"]) as other,
    ):
        client.noop()
        other.noop()
        server.stop()
        for fleet in relays:
            status, said = status_of(fleet, "/machines")
            assert (status, said["code"]) == (503, "unavailable"), said
            assert "try again" in said["hint"]
        with pytest.raises(CloveError, match="cannot be used now"):
            RemoteClient(second.url, "one", token=token).connect()
        client.noop()
        server.start()
        until(lambda: status_of(first, "/machines")[0] == 200, "the relay is back")
        client.noop()
        first.ask("DELETE", f"/tokens/{doomed['id']}")
        until(lambda: len(second.ask("GET", "/agents")["agents"]) == 1, "the revoked one is cut")
        client.noop()


def test_a_relay_that_was_away_cuts_what_was_revoked_meanwhile(
    relays: Relays, server: PostgreSQL
) -> None:
    """The relay that holds the link stands still, and its connections to the database are ended."""
    first, second = relays
    second.join("one")
    made = first.ask("POST", "/tokens/agent", {"target_machine": "one"})
    with RemoteClient(second.url, "one", token=made["token"]) as client:
        client.noop()
        assert second.process is not None
        second.process.send_signal(signal.SIGSTOP)
        try:
            server.stop(signal.SIGINT)
            server.start()
            until(lambda: status_of(first, "/machines")[0] == 200, "the relay is back")
            first.ask("DELETE", f"/tokens/{made['id']}")
        finally:
            second.process.send_signal(signal.SIGCONT)
        until(lambda: not second.ask("GET", "/agents")["agents"], "the remote agent is cut")


def test_what_one_relay_has_refused_is_in_the_audit_of_each_also_when_that_one_is_gone(
    relays: Relays,
) -> None:
    first, second = relays
    made = second.ask("POST", "/tokens/agent", {"target_machine": "one"})

    def seen() -> list[dict[str, Any]]:
        entries = first.ask("GET", "/audit?kind=route")["entries"]
        return [each for each in entries if each["token_id"] == made["id"]]

    for _ in range(2):
        assert status_of(second, "/tokens", made["token"])[0] == 403
    second.end()
    [entry] = seen()
    assert (entry["count"], entry["what"]) == (2, "GET /api/v1/tokens")
    assert status_of(first, "/tokens", made["token"])[0] == 403
    assert [each["count"] for each in seen()] == [1, 2]
