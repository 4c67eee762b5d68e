"""A machine is reached, and seen, at whichever relay one asks."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
import tomllib
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError, InvalidRequest, PermissionDenied, Unavailable
from clove.framing import Opcode
from tests.integration.conftest import KernelProcess
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.fleet.two_relays import Relays, two_relays
from tests.postgresql import PostgreSQL
from tests.waiting import until

SCRIPT = "print('done')"


@pytest.fixture
def relays(postgresql: PostgreSQL) -> Iterator[Relays]:
    with two_relays(postgresql, "[limits.link]\nlease_seconds = 3.0\nping_seconds = 1.0\n") as both:
        yield both


def presence(fleet: Fleet, machine: str) -> str:
    return str(fleet.ask("GET", f"/machines/{machine}")["presence"])


def flags_of(fleet: Fleet, machine: str) -> list[str]:
    time.sleep(0.05)
    return [flag["what"] for flag in fleet.ask("GET", f"/machines/{machine}")["flags"]]


def await_presence(fleet: Fleet, machine: str, wanted: str) -> None:
    def look() -> bool:
        time.sleep(0.05)  # a token may ask 50 times a second
        return presence(fleet, machine) == wanted

    until(look, f"{machine} is {wanted}")


def join(fleet: Fleet, other: Fleet, machine: str = "one") -> Any:
    """A kernel with a tunnel to one relay, of which the other has heard."""
    kernel = fleet.join(machine)
    await_presence(other, machine, "connected")
    return kernel


def test_a_machine_is_connected_on_every_relays_list(relays: Relays) -> None:
    here, there = relays
    kernel = join(there, here)
    assert here.ask("GET", "/status")["machines_connected"] == 1
    [shown] = here.ask("GET", "/machines")["machines"]
    assert shown["status"] == "connected"
    kernel.stop()
    await_presence(here, "one", "disconnected")


def test_an_administrator_is_the_same_caller_at_each_relay_and_over_rest(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    asked = {"machine_id": "one", "command": ["sleep", "100"], "name": "asleep"}
    made = here.ask("POST", "/agents/deploy", asked)
    for fleet in (here, there):
        with fleet.client("one", fleet.admin) as client:
            with client.run("asleep", ["echo", "inside"]) as ran:
                assert os.read(ran.descriptors["stdout"], 100) == b"inside\n"
                assert ran.finish()["exit_code"] == 0
            assert client.read_output("asleep")["agent_id"] == made["agent_id"]
    token = here.agent_token("one")
    with here.client("one", token) as first, there.client("one", token) as second:
        for client in (first, second):
            client.list_agents()
        for fleet in (here, there):
            shown = fleet.ask("GET", "/agents", token=token)
            assert (len(shown["agents"]), shown["relays_missing"]) == (2, 0)
            assert fleet.ask("GET", "/agents?machine_id=other")["agents"] == []
            assert fleet.ask("GET", "/agents", token=here.agent_token("one"))["agents"] == []
            assert fleet.ask("GET", "/status", token=token)["agents"] == 2


def test_a_kernel_that_does_not_answer_is_stale_on_every_relay(relays: Relays) -> None:
    here, there = relays
    kernel = join(there, here)
    assert kernel.process is not None
    kernel.process.send_signal(signal.SIGSTOP)
    try:
        await_presence(here, "one", "stale")
        await_presence(here, "one", "disconnected")
    finally:
        kernel.process.send_signal(signal.SIGCONT)
    await_presence(here, "one", "connected")


def test_a_relay_that_dies_loses_its_tunnels_by_its_lease(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    assert there.process is not None
    there.process.kill()
    there.process.wait()
    assert here.ask("GET", "/agents")["relays_missing"] == 1
    await_presence(here, "one", "disconnected")
    assert here.ask("GET", "/agents")["relays_missing"] == 0


def test_a_remote_agent_at_one_relay_reaches_a_machine_at_the_other(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    with here.client("one", here.agent_token("one")) as client:
        assert client.noop(b"x") == b"x"
        agent = client.spawn("far", command=["sh", "-c", "seq 20000"])["agent_id"]
        found = bytearray()
        while True:
            piece = client.read_output(agent, since=len(found), wait=10)
            found += piece["data"]
            if piece["ended"] and not piece["data"]:
                break
        assert found == "".join(f"{number}\n" for number in range(1, 20001)).encode()


def test_a_callers_permissions_are_those_that_the_tunnels_relay_looks_up(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    with here.client("one", here.agent_token("one", permissions={"can_exec": False})) as client:
        assert client.noop(b"x") == b"x"
        with pytest.raises(PermissionDenied, match="can_exec"):
            client.spawn("far", command=["true"])


def test_a_copied_disk_is_refused_at_the_other_relay_while_the_first_answers(
    relays: Relays,
) -> None:
    here, there = relays
    kernel = join(there, here)
    copy = KernelProcess(f"{kernel.directory}/copy", kernel.config)
    Path(copy.directory).mkdir()
    copy.start()
    try:
        with CloveClient(copy.socket) as operator:
            operator.tunnel_disconnect()
            shutil.rmtree(f"{copy.state_dir}/tunnel", ignore_errors=True)
            shutil.copytree(f"{kernel.state_dir}/tunnel", f"{copy.state_dir}/tunnel")
            with pytest.raises(Unavailable, match="another kernel with this machine's key"):
                operator.tunnel_connect(here.url, "one")
            until(lambda: "copied_key" in flags_of(there, "one"), "it is flagged")
            assert kernel.process is not None
            kernel.process.send_signal(signal.SIGSTOP)  # it answers no more
            assert operator.tunnel_connect(here.url, "one")["connected"]
            kernel.process.send_signal(signal.SIGCONT)
            with there.client("one") as client:
                assert client.noop(b"the copy's") == b"the copy's"
    finally:
        copy.stop()


def test_what_rest_deploys_at_one_relay_runs_on_a_machine_at_the_other(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    body = {"machine_id": "one", "script_name": "a.py", "script_content": SCRIPT}
    deployed = here.ask("POST", "/agents/deploy", body)
    path = f"/agents/{deployed['agent_id']}/logs?machine_id=one"
    until(lambda: there.ask("GET", path)["lines"], "the other relay has its output")
    assert [line["text"] for line in here.ask("GET", path)["lines"]] == ["done"]


def test_an_agent_of_version_1_reaches_a_machine_at_the_other_relay(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    token = here.agent_token("one")
    with PeerV1(here.hub_port) as agent:
        agent.say("agent_auth", name="old", token=token, target_machine="one")
        assert agent.hear()["type"] == "auth_ok"
        assert agent.ask(Opcode.KEYS)["success"]


def test_a_revoked_token_is_cut_at_both_ends(relays: Relays) -> None:
    here, there = relays
    join(there, here)
    made = here.ask("POST", "/tokens/agent", {"target_machine": "one", "name": "t"})
    with RemoteClient(here.url, "one", token=made["token"]) as client:
        client.noop()
        there.ask("DELETE", f"/tokens/{made['id']}")
        with pytest.raises(CloveError):
            until(lambda: client.noop() and False, "it is cut")


def test_when_the_other_relay_dies_what_was_under_way_is_reported_once(relays: Relays) -> None:
    here, there = relays
    kernel = join(there, here)
    client = here.client("one")
    client.spawn("long", command=["sleep", "100"])
    failures: list[CloveError] = []

    def wait() -> None:
        try:
            client.recv_messages(wait=20)
        except CloveError as error:
            failures.append(error)

    work = threading.Thread(target=wait)
    work.start()
    assert there.process is not None
    there.process.kill()
    there.process.wait()
    work.join()
    assert failures[0].code in ("connection_lost", "unavailable")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        here.ask(
            "POST",
            "/agents/deploy",
            {"machine_id": "one", "script_name": "a", "script_content": ""},
        )
    there.restart()
    there.await_tunnel(kernel)
    until(lambda: names_of(client) == ["long"], "the machine is reached again")
    client.kill("long")
    client.close()


def names_of(client: RemoteClient) -> list[str]:
    try:
        return [entry["name"] for entry in client.list_agents()]
    except CloveError:
        return []


def deploy(fleet: Fleet, key: str, script: str = SCRIPT) -> int:
    admin = fleet.api()
    found = admin.deploy("one", "a.py", script, idempotency_key=key)
    return int(found["agent_id"])


def test_an_idempotency_key_holds_at_the_other_relay_and_over_restarts(
    relays: Relays, postgresql: PostgreSQL
) -> None:
    here, there = relays
    kernel = join(there, here)
    first = deploy(there, "k")
    assert deploy(here, "k") == first
    with pytest.raises(InvalidRequest):
        deploy(here, "k", "print('another')")
    there.restart()
    there.await_tunnel(kernel)
    assert deploy(there, "k") == first


def test_what_a_relay_started_before_it_died_is_found_though_it_has_ended(relays: Relays) -> None:
    here, there = relays
    kernel = join(there, here)
    first = deploy(there, "k")
    with CloveClient(kernel.socket) as operator:
        operator.wait(agent_id=first)
    with psycopg.connect(database_of(here), autocommit=True) as connection:  # as if it had died
        connection.execute("UPDATE repeats SET answer = NULL, claimant = 'gone'")
    assert deploy(here, "k") == first
    with CloveClient(kernel.socket) as operator:
        assert len(operator.list_agents(all=True)) == 1


def database_of(fleet: Fleet) -> str:
    """The connection string of its store."""
    with Path(fleet.directory, "relay.toml").open("rb") as file:
        return str(tomllib.load(file)["store"]["postgresql"])
