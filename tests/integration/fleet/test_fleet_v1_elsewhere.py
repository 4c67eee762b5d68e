"""A tunnel of version 1 is used by remote agents of another relay than its own."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator

import pytest

from clove.errors import CloveError
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.fleet.test_fleet_v1 import LIST, NOOP, KernelV1, agent, b64
from tests.integration.fleet.two_relays import Relays, two_relays
from tests.postgresql import PostgreSQL
from tests.waiting import until

MACHINE = "old"


@pytest.fixture(scope="module")
def relays(postgresql: PostgreSQL) -> Iterator[Relays]:
    with two_relays(postgresql) as both:
        yield both


@pytest.fixture
def old(relays: Relays) -> Iterator[KernelV1]:
    """Its tunnel is at the second, of which the first has heard."""
    here, there = relays
    there.ask("POST", "/machines", {"machine_id": MACHINE})
    kernel = KernelV1(there, MACHINE)

    def connected() -> bool:
        return bool(here.ask("GET", f"/machines/{MACHINE}")["presence"] == "connected")

    until(connected, "the machine is connected")
    yield kernel
    kernel.peer.close()
    kernel.join(10)
    there.ask("DELETE", f"/machines/{MACHINE}")


def ended(peer: PeerV1) -> bool:
    """It is closed, or told that its kernel is gone."""
    try:
        return bool(peer.hear()["type"] == "kernel_disconnected")
    except EOFError:
        return True


def test_its_requests_are_answered_in_order_and_agents_told_apart(
    relays: Relays, old: KernelV1
) -> None:
    here, there = relays
    with agent(here, MACHINE, "far") as far, agent(there, MACHINE, "near") as near:
        for number in range(600):  # more than may wait
            far.say("syscall", opcode=NOOP, payload=b64(b"%d" % number))
        answers = [far.hear() for _ in range(600)]
        assert [each["payload"] for each in answers] == [b64(b"%d" % n) for n in range(600)]
        assert far.ask(LIST) != near.ask(LIST)
        named = [said["name"] for said in old.heard if said["type"] == "agent_connected"]
        assert sorted(named) == ["far", "near"]
    until(lambda: old.types().count("agent_disconnected") == 2, "the kernel knows that they left")


def test_an_agent_is_told_when_the_kernel_goes_and_finds_it_again(
    relays: Relays, old: KernelV1
) -> None:
    here, there = relays
    with agent(here, MACHINE) as peer:
        assert peer.ask(LIST)
        old.peer.close()
        old.join(10)
        assert peer.hear() == {"type": "kernel_disconnected", "machine_id": MACHINE}
        again = KernelV1(there, MACHINE)

        def answered() -> bool:
            peer.say("syscall", opcode=NOOP, payload=b64(b"x"))
            return bool(peer.hear()["type"] == "response")

        until(answered, "the kernel is reached again")
        again.peer.close()
        again.join(10)


def test_a_revoked_token_is_cut_there_as_well(relays: Relays, old: KernelV1) -> None:
    here, there = relays
    made = here.ask("POST", "/tokens/agent", {"target_machine": MACHINE})
    with PeerV1(here.hub_port) as peer:
        peer.say("agent_auth", name="x", token=made["token"], target_machine=MACHINE)
        assert peer.hear()["type"] == "auth_ok"
        assert peer.ask(LIST)
        there.ask("DELETE", f"/tokens/{made['id']}")
        assert ended(peer)
    until(lambda: "agent_disconnected" in old.types(), "the kernel knows that it left")


def test_no_token_with_permissions_reaches_a_kernel_that_cannot_be_told_of_them(
    relays: Relays, old: KernelV1
) -> None:
    here, _ = relays
    token = here.agent_token(MACHINE, permissions={"can_exec": False})
    with PeerV1(here.hub_port) as peer:
        peer.say("agent_auth", name="narrow", token=token, target_machine=MACHINE)
        assert peer.hear()["type"] == "auth_ok"  # the other relay has the tunnel, and looks itself
        assert ended(peer)
    assert "agent_connected" not in old.types()


def test_what_version_1_cannot_do_is_refused_with_the_reason(relays: Relays, old: KernelV1) -> None:
    here, _ = relays
    with pytest.raises(CloveError, match="version 1"):
        here.client(MACHINE).noop()
    with pytest.raises(urllib.error.HTTPError) as refused:
        here.ask("GET", f"/machines/{MACHINE}/agents")
    with refused.value:
        assert (refused.value.code, b"version 1" in refused.value.read()) == (501, True)
