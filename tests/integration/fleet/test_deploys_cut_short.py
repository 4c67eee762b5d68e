"""A deploy on many machines goes no further when its token is not valid any more (attack 22)."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove.framing import Opcode
from tests.integration.fleet.fleet_processes import CONFIG, Fleet
from tests.integration.fleet.hostile_kernel import HostileKernel
from tests.waiting import until

MACHINES = ("m1", "m2", "m3")
BODY = {"script_name": "x.py", "script_content": "pass", "selector": {"all": True}}


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet(f"{CONFIG}[limits.rest]\ndeploy_at_once = 1\n")
    with contextlib.ExitStack() as undo:
        undo.callback(fleet.stop)
        fleet.start()
        yield fleet


@contextlib.contextmanager
def machines(fleet: Fleet, on_spawn: Callable[[], object]) -> Iterator[list[str]]:
    """Machines whose kernels start all that they are asked to; gives the names of those that did.

    @param on_spawn: called before the first is answered.
    """
    spawned: list[str] = []

    def answers(name: str) -> Callable[[int, bytes], bytes]:
        def answer(opcode: int, payload: bytes) -> bytes:
            if opcode == Opcode.SPAWN:
                spawned.append(name)
                if len(spawned) == 1:
                    on_spawn()
            return json.dumps({"success": True, "agent_id": 7}).encode()

        return answer

    with contextlib.ExitStack() as undo:
        for name in MACHINES:
            token = fleet.ask("POST", "/tokens/join", {"machine_id": name})["token"]
            kernel = HostileKernel(fleet.hub_port, name, token, answers(name))
            undo.callback(kernel.close)
            assert kernel.answered["type"] == "auth_ok", kernel.answered
            kernel.start()
        yield spawned


def deploy(fleet: Fleet, token: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = fleet.ask("POST", "/agents/deploy", BODY, token)
    except urllib.error.HTTPError as error:
        return {"status": error.code}
    return found


def test_a_deploy_on_many_machines_ends_with_the_revocation_of_its_token(fleet: Fleet) -> None:
    made = fleet.ask("POST", "/tokens/admin", {"name": "leaver"})
    with machines(fleet, lambda: fleet.ask("DELETE", f"/tokens/{made['id']}")) as spawned:
        found = deploy(fleet, made["token"])
    assert len(spawned) == 1, found


def test_a_deploy_on_many_machines_ends_with_the_expiry_of_its_token(fleet: Fleet) -> None:
    ends: list[float] = []
    with machines(fleet, lambda: until(lambda: time.time() > ends[0], "it expires")) as spawned:
        ends.append(time.time() + 3)
        made = fleet.ask("POST", "/tokens/admin", {"name": "guest", "expires_hours": 2 / 3600})
        found = deploy(fleet, made["token"])
    assert len(spawned) == 1, found
