"""Version 1 of the relay's protocol, by the letter: clients that we don't write speak it."""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove.errors import CloveError
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1
from tests.waiting import until

NOOP, LIST, SPAWN, KILL = 0x00, 0x12, 0x10, 0x11


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """A relay with a machine of version 2, and one for a tunnel of version 1."""
    with running_fleet() as fleet:
        fleet.join("new")
        yield fleet


def agent(fleet: Fleet, machine: str, name: str = "remote") -> PeerV1:
    peer = PeerV1(fleet.hub_port)
    peer.say("agent_auth", name=name, token=fleet.agent_token(machine), target_machine=machine)
    answer = peer.hear()
    assert answer["type"] == "auth_ok", answer
    assert answer["target_machine"] == machine
    assert answer["agent_id"] >= 1000
    return peer


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class KernelV1(threading.Thread):
    """A kernel with a tunnel of version 1, which answers each syscall.

    @ivar heard: what the relay said.
    """

    def __init__(self, fleet: Fleet, machine: str) -> None:
        super().__init__(daemon=True)
        body = {"machine_id": machine, "name": "old"}
        self.token = fleet.ask("POST", "/tokens/machine", body)
        self.heard: list[dict[str, Any]] = []
        self.peer = PeerV1(fleet.hub_port)
        self.peer.say("kernel_auth", machine_id=machine, token=self.token["token"])
        assert self.peer.hear() == {"type": "auth_ok", "machine_id": machine}
        self.start()

    def run(self) -> None:
        try:
            while True:
                said = self.peer.hear()
                self.heard.append(said)
                if said["type"] == "syscall":
                    self.answer(said)
        except (OSError, EOFError, ValueError):
            self.heard.append({"type": "end"})

    def answer(self, said: dict[str, Any]) -> None:
        if said["opcode"] == LIST:
            payload = b64(json.dumps([said["agent_id"]]).encode())
        else:
            payload = said["payload"]
        self.peer.say("response", agent_id=said["agent_id"], opcode=said["opcode"], payload=payload)

    def types(self) -> list[str]:
        return [said["type"] for said in self.heard]


@pytest.fixture
def old(fleet: Fleet) -> Iterator[KernelV1]:
    """A machine of version 1."""
    fleet.ask("POST", "/machines", {"machine_id": "old"})
    kernel = KernelV1(fleet, "old")
    yield kernel
    kernel.peer.close()
    kernel.join(10)
    fleet.ask("DELETE", "/machines/old")


def test_a_remote_agent_of_version_1_on_a_tunnel_of_version_2(fleet: Fleet) -> None:
    with agent(fleet, "new") as peer:
        peer.say("ping")
        assert peer.hear() == {"type": "pong"}
        peer.say("syscall", opcode=NOOP, payload=b64(b"any \0 bytes"))
        assert peer.hear() == {"type": "response", "opcode": NOOP, "payload": b64(b"any \0 bytes")}
        assert peer.ask(LIST) == []
        made = peer.ask(SPAWN, {"name": "v1", "command": ["sleep", "100"]})
        assert made["success"], made
        assert peer.ask(0x03, {"path": "/etc/hostname"})["rule"] == "remote"
        assert peer.ask(KILL, {"name": "v1"})["killed"]


def test_a_script_is_deployed_on_a_tunnel_of_version_1(fleet: Fleet, old: KernelV1) -> None:
    body = {"machine_id": "old", "script_name": "w.py", "script_content": "pass", "args": ["a"]}
    made = fleet.ask("POST", "/agents/deploy", body)
    assert made == {
        "status": "sent",
        "machine_id": "old",
        "script_name": "w.py",
        "agent_id": 0,
        "agent_name": "",
        "results": [],
    }
    assert fleet.ask("POST", "/agents/7/stop", {"machine_id": "old"})["status"] == "sent"
    until(lambda: "stop_agent" in old.types(), "both are there")
    told = [said for said in old.heard if said["type"] in ("deploy_agent", "stop_agent")]
    script = {"script_name": "w.py", "script_content": b64(b"pass"), "args": ["a"]}
    assert told == [{"type": "deploy_agent", **script}, {"type": "stop_agent", "agent_id": 7}]


def test_version_1_is_asked_for_nothing_that_it_has_no_words_for(
    fleet: Fleet, old: KernelV1
) -> None:
    """It cannot be told what a token may, nor what an agent may: then nothing is started."""
    body = {"machine_id": "old", "script_name": "w.py", "script_content": "pass"}
    for more in ({"permissions": {"can_http": False}}, {"limits": {"max_pids": 3}}, {"name": "x"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            fleet.ask("POST", "/agents/deploy", {**body, **more})
        with refused.value:
            assert refused.value.code == 400
    with pytest.raises(urllib.error.HTTPError) as refused:
        fleet.ask("POST", "/agents/deploy", body, fleet.agent_token("old"))
    with refused.value:
        assert refused.value.code == 403
    assert "deploy_agent" not in old.types()


def test_requests_are_answered_in_order(fleet: Fleet) -> None:
    with agent(fleet, "new") as peer:
        for number in range(300):
            peer.say("syscall", opcode=NOOP, payload=b64(b"%d" % number))
        found = [base64.b64decode(peer.hear()["payload"]) for _ in range(300)]
        assert found == [b"%d" % number for number in range(300)]


def test_a_remote_agent_on_a_tunnel_of_version_1(fleet: Fleet, old: KernelV1) -> None:
    with agent(fleet, "old", "first") as first, agent(fleet, "old", "second") as second:
        one, two = first.ask(LIST), second.ask(LIST)
        assert one != two
        until(lambda: old.types().count("agent_connected") == 2, "the kernel knows both")
        told = [said for said in old.heard if said["type"] == "agent_connected"]
        assert [(said["agent_id"], said["name"]) for said in told] == [
            (one[0], "first"),
            (two[0], "second"),
        ]
        old.peer.say("list_remotes")
        old.peer.say("ping")
        until(lambda: "pong" in old.types(), "the kernel's ping is answered")
        [remotes] = [said for said in old.heard if "agents" in said]
        assert remotes["count"] == 2
        assert fleet.ask("GET", "/machines/old")["status"] == "connected"
        until(lambda: fleet.ask("GET", "/machines/old")["presence"] == "connected", "it is asked")
    until(lambda: old.types().count("agent_disconnected") == 2, "the kernel knows that they left")


def test_no_token_with_permissions_reaches_a_kernel_that_cannot_be_told_of_them(
    fleet: Fleet, old: KernelV1
) -> None:
    token = fleet.agent_token("old", permissions={"can_exec": False})
    with PeerV1(fleet.hub_port) as peer:
        peer.say("agent_auth", name="narrow", token=token, target_machine="old")
        answer = peer.hear()
    assert (answer["type"], answer["code"]) == ("auth_error", "permission_denied")
    assert "agent_connected" not in old.types()


def test_a_client_of_version_2_on_a_tunnel_of_version_1_is_told(
    fleet: Fleet, old: KernelV1
) -> None:
    with pytest.raises(CloveError) as refused:
        fleet.client("old").noop()
    assert "version 1" in str(refused.value)


def test_an_agent_is_told_when_its_kernel_goes(fleet: Fleet, old: KernelV1) -> None:
    with agent(fleet, "old") as peer:
        assert peer.ask(LIST)
        old.peer.close()
        assert peer.hear() == {"type": "kernel_disconnected", "machine_id": "old"}
        peer.say("syscall", opcode=NOOP, payload="")
        answer = peer.hear()
        assert answer["type"] == "error"
        assert "not connected" in answer["error"]


WRONG: dict[str, Callable[[PeerV1], None]] = {
    "no type": lambda peer: peer.say_text(b"{}"),
    "no JSON": lambda peer: peer.say_text(b"{"),
    "another type": lambda peer: peer.say("deploy_agent"),
    "no opcode": lambda peer: peer.say("syscall", payload=""),
    "a large opcode": lambda peer: peer.say("syscall", opcode=256, payload=""),
    "no base64": lambda peer: peer.say("syscall", opcode=NOOP, payload="%"),
    "a number": lambda peer: peer.say("syscall", opcode=NOOP, payload=7),
    "too much": lambda peer: peer.say("syscall", opcode=NOOP, payload=b64(bytes((1 << 20) + 1))),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_gets_an_error_and_the_connection_lives(
    fleet: Fleet, name: str
) -> None:
    with agent(fleet, "new") as peer:
        WRONG[name](peer)
        answer = peer.hear()
        assert answer["type"] == "error"
        assert answer["error"]
        peer.say("syscall", opcode=NOOP, payload=b64(b"on"))
        assert peer.hear()["payload"] == b64(b"on")


def test_a_machines_token_is_for_that_machine_alone(fleet: Fleet, old: KernelV1) -> None:
    for machine, token in (("new", old.token["token"]), ("old", fleet.agent_token("old"))):
        with PeerV1(fleet.hub_port) as peer:
            peer.say("kernel_auth", machine_id=machine, token=token)
            assert peer.hear()["type"] == "auth_error"
    with PeerV1(fleet.hub_port) as peer:
        peer.say("agent_auth", name="x", token=old.token["token"], target_machine="old")
        assert peer.hear()["type"] == "auth_error"


def test_a_revoked_machine_token_cuts_its_tunnel(fleet: Fleet, old: KernelV1) -> None:
    fleet.ask("DELETE", f"/tokens/{old.token['id']}")
    until(lambda: old.types()[-1:] == ["end"], "the tunnel is cut")
