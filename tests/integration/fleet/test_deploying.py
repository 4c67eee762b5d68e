"""Agents are deployed, listed, watched and stopped through the relay's REST API."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.client.fleet import FleetClient
from clove.errors import InvalidRequest, NotFound, PermissionDenied, Unavailable
from tests.integration.fleet.fleet_processes import WHO, Fleet, running_fleet
from tests.waiting import until

HELLO = "import sys\nprint('hello', sys.argv[1:])\nprint('err', file=sys.stderr)\n"
WAITS = "import time\nprint('up', flush=True)\ntime.sleep(100)\n"


@pytest.fixture(scope="module", params=WHO)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with running_fleet(request.param) as fleet:
        fleet.join("one")
        yield fleet


@pytest.fixture
def admin(fleet: Fleet) -> FleetClient:
    return fleet.api()


def deploy(client: FleetClient, text: str, name: str = "work.py", **more: Any) -> dict[str, Any]:
    return client.deploy("one", name, text, **more)


def deploy_with(client: FleetClient, body: dict[str, Any]) -> None:
    given = dict(body)
    client.deploy(given.pop("machine_id", ""), "w.py", HELLO, **given)


def lines(client: FleetClient, agent_id: int) -> list[str]:
    return [line["text"] for line in client.logs("one", agent_id)["lines"]]


def test_a_script_is_deployed_and_its_output_read(admin: FleetClient) -> None:
    made = deploy(admin, HELLO, args=["a", "b c"])
    assert made["status"] == "deployed"
    assert (made["machine_id"], made["script_name"]) == ("one", "work.py")
    assert made["agent_name"].startswith("work-")
    until(lambda: len(lines(admin, made["agent_id"])) == 2, "its output is there")
    assert sorted(lines(admin, made["agent_id"])) == [
        "err",
        "hello ['/tmp/clove.sock', 'a', 'b c']",
    ]


def test_a_deployed_agent_is_listed_and_stopped(admin: FleetClient, fleet: Fleet) -> None:
    made = deploy(admin, WAITS)
    [entry] = [each for each in admin.machine_agents("one") if each["id"] == made["agent_id"]]
    assert entry["running"]
    stopped = admin.stop_agent("one", made["agent_id"])
    assert stopped["status"] == "stopped"
    assert made["agent_id"] not in [each["id"] for each in admin.machine_agents("one")]
    with pytest.raises(NotFound):
        admin.stop_agent("one", 10**9)


def test_a_repeated_request_starts_nothing_twice(admin: FleetClient, fleet: Fleet) -> None:
    first = deploy(admin, WAITS, idempotency_key="deploy-7")
    assert deploy(admin, WAITS, idempotency_key="deploy-7") == first
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        deploy(admin, HELLO, idempotency_key="deploy-7")
    other = deploy(admin, WAITS, idempotency_key="deploy-8")
    assert other["agent_id"] != first["agent_id"]
    for made in (first, other):
        admin.stop_agent("one", made["agent_id"])


def test_a_token_acts_on_its_targets_and_its_own_agents_alone(
    admin: FleetClient, fleet: Fleet
) -> None:
    url = f"http://127.0.0.1:{fleet.rest_port}"
    mine = FleetClient(url, fleet.agent_token("one"))
    theirs = FleetClient(url, fleet.agent_token("one"))
    elsewhere = FleetClient(url, fleet.agent_token("two"))
    made = deploy(mine, WAITS)
    assert [each["id"] for each in mine.machine_agents("one")] == [made["agent_id"]]
    with pytest.raises((PermissionDenied, NotFound)):
        theirs.stop_agent("one", made["agent_id"])
    with pytest.raises((PermissionDenied, NotFound)):
        theirs.logs("one", made["agent_id"])
    calls: list[Callable[[], object]] = [
        lambda: elsewhere.stop_agent("one", made["agent_id"]),
        lambda: elsewhere.logs("one", made["agent_id"]),
        lambda: list(elsewhere.machine_agents("one")),
        lambda: deploy(elsewhere, WAITS),
    ]
    for hidden in calls:
        with pytest.raises(NotFound, match="no such machine"):
            hidden()
    assert mine.stop_agent("one", made["agent_id"])["agent_id"] == made["agent_id"]


def test_permissions_of_the_token_hold_at_the_kernel(fleet: Fleet) -> None:
    token = fleet.agent_token("one", permissions={"can_spawn": False})
    client = fleet.api(token)
    with pytest.raises(PermissionDenied):
        deploy(client, HELLO)
    admin = fleet.api()
    [noted] = admin.denials(kind="kernel", machine_id="one", most=1)
    assert (noted["what"], noted["code"]) == ("POST /api/v1/agents/deploy", "permission_denied")


def test_nothing_is_started_on_a_drained_machine_or_one_that_is_gone(admin: FleetClient) -> None:
    admin.add_machine("absent")
    with pytest.raises(Unavailable, match="not connected"):
        admin.deploy("absent", "work.py", HELLO)
    with pytest.raises(NotFound):
        admin.deploy("none", "work.py", HELLO)
    admin.change_machine("one", draining=True)
    with pytest.raises(Unavailable, match="drained"):
        deploy(admin, HELLO)
    admin.change_machine("one", draining=False)


def test_a_selector_has_a_result_for_each_machine_that_the_token_reaches(
    admin: FleetClient, fleet: Fleet
) -> None:
    admin.add_machine("gone", labels={"env": "prod"})
    admin.change_machine("one", labels={"env": "prod"})
    body = {"script_name": "w.py", "script_content": HELLO, "selector": {"labels": {"env": "prod"}}}
    made = fleet.ask("POST", "/agents/deploy", body)
    assert (made["status"], made["machine_id"]) == ("partly", "")
    found = {each["machine_id"]: each for each in made["results"]}
    assert {name: each["status"] for name, each in found.items()} == {
        "gone": "unavailable",
        "one": "deployed",
    }
    assert found["one"]["agent_id"]
    assert found["gone"]["hint"]
    token = fleet.agent_token("one")
    body["selector"] = {"all": True}
    made = fleet.ask("POST", "/agents/deploy", body, token)
    assert [each["machine_id"] for each in made["results"]] == ["one"]
    client = fleet.api()
    selector = {"machines": ["one", "gone"], "labels": {"env": "prod"}}
    results = list(client.deploy_on_all("w.py", HELLO, selector=selector))
    assert {each["machine_id"] for each in results} == {"one", "gone"}


def test_a_deploy_names_one_machine_or_chooses_some(admin: FleetClient) -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"machine_id": "one", "selector": {"all": True}},
        {"selector": {"all": True}, "attach": True},
    ]
    for body in bodies:
        with pytest.raises(InvalidRequest):
            deploy_with(admin, body)
    for selector in ({}, {"labels": {"env": "none"}}):
        with pytest.raises(NotFound, match="no machine"):
            deploy_with(admin, {"selector": selector})


@contextlib.contextmanager
def events(fleet: Fleet, path: str, last: str = "") -> Iterator[Iterator[tuple[str, str, Any]]]:
    """Events of a stream: kind, id and data."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
    headers = {"Authorization": f"Bearer {fleet.admin}", "Last-Event-ID": last}
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("Content-Type")) == (200, "text/event-stream")

    def read() -> Iterator[tuple[str, str, Any]]:
        fields: dict[str, str] = {}
        for raw in reply:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}

    try:
        yield read()
    finally:
        connection.close()


def test_output_comes_as_events_until_the_exit_and_goes_on_from_an_offset(
    admin: FleetClient, fleet: Fleet
) -> None:
    made = deploy(admin, "for number in range(5): print(number, flush=True)\nraise SystemExit(3)\n")
    path = f"/api/v1/agents/{made['agent_id']}/logs?machine_id=one&follow=true"
    with events(fleet, path) as stream:
        found = list(stream)
    assert [data["text"] for kind, _, data in found if kind == "line"] == ["0", "1", "2", "3", "4"]
    assert found[-1][0] == "exit"
    assert found[-1][2]["exit_code"] == 3
    last = found[2][1]
    with events(fleet, path, last) as stream:
        again = [data["text"] for kind, _, data in stream if kind == "line"]
    assert again == ["3", "4"]


def test_a_stream_ends_when_its_token_is_revoked(admin: FleetClient, fleet: Fleet) -> None:
    made = admin.issue_token("agent", target_machine="one")
    client = fleet.api(made["token"])
    agent = deploy(client, WAITS)
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
    with contextlib.closing(connection):
        path = f"/api/v1/agents/{agent['agent_id']}/logs?machine_id=one&follow=true"
        connection.request("GET", path, headers={"Authorization": f"Bearer {made['token']}"})
        reply = connection.getresponse()
        until(lambda: b"up" in reply.readline(), "a line comes")
        admin.revoke_token(made["id"])
        assert b"event: error" in reply.read()


def test_errors_of_a_stream_are_replies(admin: FleetClient, fleet: Fleet) -> None:
    for path, status in (
        ("/agents/999999999/logs?machine_id=one&follow=true", 404),
        ("/agents/1/logs?machine_id=none&follow=true", 404),
        ("/agents/1/logs?follow=true", 400),
        ("/agents/x/logs?machine_id=one", 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            fleet.ask("GET", path)
        with contextlib.closing(caught.value):
            assert caught.value.code == status


def memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10


def test_a_reader_that_sleeps_makes_neither_relay_nor_kernel_grow(
    admin: FleetClient, fleet: Fleet
) -> None:
    """It gets what is still held, and how many lines are not."""
    count = 200_000
    text = f"for number in range({count}): print(number, 'x' * 100)\n"
    made = deploy(admin, text)
    path = f"/api/v1/agents/{made['agent_id']}/logs?machine_id=one&follow=true"
    assert fleet.process is not None
    pids = (fleet.process.pid, fleet.kernels[0].pid)
    before = [memory(pid) for pid in pids]
    with events(fleet, path) as stream:
        with CloveClient(fleet.kernels[0].socket) as operator:  # REST has a rate
            until(
                lambda: made["agent_id"] not in [each["id"] for each in operator.list_agents()],
                "the agent has printed all",
            )
        grown = [memory(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
        lines = lost = 0
        last = ""
        for kind, _, fields in stream:
            lines += kind == "line"
            lost += fields["lines"] if kind == "lost" else 0
            last = kind
    assert last == "exit"
    assert lines + lost == count
    assert lines > 100
    relay, kernel = grown
    assert relay < 20 << 20
    assert kernel < 64 << 20  # what it holds of output for those that ask later


def test_a_reader_that_leaves_is_no_failure(admin: FleetClient, fleet: Fleet) -> None:
    made = deploy(admin, WAITS)
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
    path = f"/api/v1/agents/{made['agent_id']}/logs?machine_id=one&follow=true"
    connection.request("GET", path, headers={"Authorization": f"Bearer {fleet.admin}"})
    with CloveClient(fleet.kernels[0].socket) as operator:
        with contextlib.closing(connection), connection.getresponse() as reply:
            until(lambda: b"up" in reply.readline(), "a line comes")
            assert operator.tunnel_remotes()["count"]
        until(lambda: not operator.tunnel_remotes()["count"], "the relay has noticed")
    assert "Traceback" not in fleet.log
    admin.stop_agent("one", made["agent_id"])
