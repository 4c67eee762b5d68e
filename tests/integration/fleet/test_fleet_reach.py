"""Taking a machine out of a token's reach ends what the token has opened there, and no more."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator

import pytest

from clove.client.remote import RemoteClient
from clove.errors import CloveError
from clove.framing import Opcode
from tests.integration.fleet.fleet_processes import WHO, Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.waiting import until


@pytest.fixture(params=WHO)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with running_fleet(request.param) as fleet:
        fleet.join("one")
        fleet.ask("PATCH", "/machines/one", {"labels": {"env": "prod", "zone": "a"}})
        yield fleet


def token_for(fleet: Fleet, **fields: object) -> str:
    return str(fleet.ask("POST", "/tokens/agent", fields)["token"])


def old_agent(fleet: Fleet, token: str) -> PeerV1:
    peer = PeerV1(fleet.hub_port)
    peer.say("agent_auth", name="old", token=token, target_machine="one")
    assert peer.hear()["type"] == "auth_ok"
    return peer


def all_of(peer: PeerV1) -> None:
    """Everything that it hears."""
    while True:
        peer.hear()


@contextlib.contextmanager
def followed(fleet: Fleet, token: str) -> Iterator[http.client.HTTPResponse]:
    """The output of an agent that goes on talking, as server-sent events."""
    with RemoteClient(fleet.url, "one", token=token) as client:
        agent = client.spawn(
            f"talks-{token[-6:]}", command=["sh", "-c", "while echo on; do sleep 0.01; done"]
        )
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
    with contextlib.closing(connection):
        path = f"/api/v1/agents/{agent['id']}/logs?machine_id=one&follow=true"
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        reply = connection.getresponse()
        until(lambda: b"on" in reply.readline(), "a line comes")
        yield reply


def test_a_label_that_is_taken_away_ends_calls_streams_and_agents_of_both_versions(
    fleet: Fleet,
) -> None:
    by_label = token_for(fleet, labels={"env": "prod"})
    by_other = token_for(fleet, labels={"zone": "a"})
    ended: list[CloveError] = []
    with (
        RemoteClient(fleet.url, "one", token=by_label) as client,
        RemoteClient(fleet.url, "one", token=by_other) as other,
        old_agent(fleet, by_label) as old,
        old_agent(fleet, by_other) as old_other,
        followed(fleet, by_label) as stream,
    ):
        client.spawn("waits", command=["sleep", "100"])
        other.noop()

        def wait() -> None:
            try:
                client.wait("waits", timeout=60)
            except CloveError as error:
                ended.append(error)

        work = threading.Thread(target=wait)
        work.start()
        until(lambda: len(fleet.ask("GET", "/agents")["agents"]) == 4, "all are there")
        fleet.ask("PATCH", "/machines/one", {"labels": {"zone": "a"}})
        with pytest.raises(EOFError):
            old.hear()
        assert b"event: error" in stream.read()
        work.join(20)
        assert ended
        assert other.noop(b"mine") == b"mine"
        assert len(old_other.ask(int(Opcode.LIST))) == 2  # what the others have started runs on
        assert len(fleet.ask("GET", "/agents")["agents"]) == 2
        with pytest.raises(CloveError):
            RemoteClient(fleet.url, "one", token=by_label).noop()


def test_a_machine_that_is_removed_takes_with_it_what_was_open_to_it(fleet: Fleet) -> None:
    """An agent of version 1 outlives its tunnel; it is not to reach another machine of that name."""
    token = token_for(fleet, target_machine="one")
    with old_agent(fleet, token) as old, followed(fleet, token) as stream:
        fleet.ask("DELETE", "/machines/one")
        with pytest.raises(EOFError):
            all_of(old)
        assert b"event: error" in stream.read()
        assert fleet.ask("GET", "/agents")["agents"] == []
