"""Identity by claim, and others' sockets: rows 8 and 20 of the attacks, from inside an agent."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adversary.arena import Arena

PREFIXES = ["victi", "victim-", "victim.1", "Victim", "v1ctim"]
ODD = ["victim\0", "victim ", " victim", "victim\n", "", "..", "victim/../victim"]
SLEEP = "import time; time.sleep(300)"


@contextlib.contextmanager
def abstract_socket() -> Iterator[str]:
    """The name of an abstract Unix socket at which this process listens."""
    name = f"clove-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("\0" + name)
        bound.listen()
        yield name


def sockets(arena: Arena, victim: int, abstract: str) -> dict[str, str]:
    """Addresses that are not the attacker's to use."""
    run = f"{arena.kernel.state_dir}/run"
    return {
        "of the victim": f"{run}/{victim}.sock",
        "of the operator": arena.kernel.socket,
        "through proc": f"/proc/1/root{run}/{victim}.sock",
        "abstract": "\0" + abstract,
        "of D-Bus": "/run/dbus/system_bus_socket",
        "of containers": "/var/run/docker.sock",
        "of the agent for SSH": os.environ.get("SSH_AUTH_SOCK", "/tmp/ssh-agent"),
    }


@pytest.fixture(scope="module")
def inside(arena: Arena) -> dict[str, Any]:
    """What every attempt came to; `mail` is what the operator got of the forged frames."""
    client = arena.client
    operator = client.hello()["agent_id"]
    victim = arena.begin(
        "import time\nfrom clove import CloveClient\nclient = CloveClient()\n"
        f"client.store('mine', 'private', scope='agent')\nclient.send_message('up', to={operator})\n"
        "time.sleep(300)",
        name="victim",
    )
    client.recv_messages(wait=20)
    dead = arena.begin(SLEEP, name="departed")
    client.kill(dead["id"])
    with abstract_socket() as abstract:
        facts = {
            "victim": victim["id"],
            "victim_name": "victim",
            "dead": dead["id"],
            "operator": operator,
            "token": client.hello()["resume"],
            "names": [*PREFIXES, *ODD, "victim", "departed"],
            "sockets": sockets(arena, victim["id"], abstract),
        }
        found: dict[str, Any] = arena.attempts("identity_attempts.py", facts)
    found["mail"] = client.recv_messages(max=100)["messages"]
    found["alive"] = [each["name"] for each in client.list_agents()]
    found["victim's"] = client.get_permissions(victim["id"])["permissions"]["level"]
    client.kill(victim["id"])
    return found


def test_the_id_in_a_frame_is_not_believed(inside: dict[str, Any]) -> None:
    claims = ["victim", "dead", "operator", "none", "most"]
    assert [inside[f"frame of {claim}"] for claim in claims] == [True] * 5
    assert [mail["message"]["claimed"] for mail in inside["mail"]] == claims
    assert len({(mail["from"], mail["from_name"]) for mail in inside["mail"]}) == 1


def test_neither_environment_nor_token_makes_it_another(inside: dict[str, Any]) -> None:
    assert inside["own id"] is inside["environment"] is True
    assert inside["resume"] == "not_found"
    assert all(mail["from_name"].startswith("attacker-") for mail in inside["mail"])


def test_others_are_not_its_to_manage(inside: dict[str, Any]) -> None:
    for what in ("kill", "pause", "resume", "logs", "wait"):
        assert inside[f"{what} victim"] == inside[f"{what} victim by id"] == "permission_denied"
        assert inside[f"{what} dead"] in ("permission_denied", "not_found"), what
    assert "victim" in inside["alive"]


def test_a_name_that_only_looks_like_another_is_unknown(inside: dict[str, Any]) -> None:
    for name in PREFIXES:
        assert inside[f"kill {name!r}"] == inside[f"send {name!r}"] == "not_found", name


def test_odd_names_are_refused(inside: dict[str, Any]) -> None:
    for name in ODD:
        assert inside[f"register {name!r}"] == "invalid_request", name
        assert inside[f"kill {name!r}"] in ("not_found", "invalid_request"), name
        assert inside[f"send {name!r}"] in ("not_found", "invalid_request"), name


def test_a_name_in_use_cannot_be_taken(inside: dict[str, Any]) -> None:
    assert inside["register 'victim'"] == "already_exists"


def test_what_others_may_is_not_its_to_change(inside: dict[str, Any]) -> None:
    for name in ("raise own", "raise own by field", "raise victim", "narrow victim", "spawn"):
        assert inside[name] == "permission_denied", name
    assert inside["raise dead"] in ("permission_denied", "not_found")
    assert inside["permissions of dead"] in ("permission_denied", "not_found")
    assert inside["permissions of victim"] == "permission_denied"
    assert inside["victim's"] == "standard"


def test_what_others_keep_is_not_seen(inside: dict[str, Any]) -> None:
    assert inside["private key"]["exists"] is False
    assert inside["metrics of victim"] == inside["silence audit"] == "permission_denied"
    senders = {mail["from"] for mail in inside["mail"]}
    assert {entry["agent_id"] for entry in inside["audit"]["entries"]} == senders


def test_sockets_of_others_are_out_of_reach(inside: dict[str, Any]) -> None:
    found = {name: result for name, result in inside.items() if name.startswith("socket ")}
    assert found.pop("socket abstract") == "ECONNREFUSED"
    assert found.pop("socket through proc") == "EACCES"
    assert set(found.values()) == {"ENOENT"}, found
