"""Connecting again and again: who does it too often waits, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clove import CloveClient
from tests.adversary.arena import CONFIG
from tests.integration.exposed import ROOT, ROOTLESS, Host, host

BURST = 12
LIMITS = f"[limits.connection]\nconnects = 0.01\nconnects_at_once = {BURST}\n"
CHURN = """
import json, os, socket, struct, sys

NOOP = struct.pack("<IIBQ", 0x41474E54, 0, 0, 0)
served = 0
for _ in range(%d):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(os.environ["CLOVE_SOCKET"])
            connection.sendall(NOOP)
            served += len(connection.recv(17)) == 17
        except OSError:
            break
print(json.dumps(served), flush=True)
"""
CHILDREN = """
import sys
from clove import CloveClient

with open("/workspace/churn.py", "w") as file:
    file.write(sys.argv[2])
with CloveClient() as client:
    for number in range(2):
        client.spawn(f"child-{number}", "/workspace/churn.py")
        client.wait(f"child-{number}")
        print(client.logs(f"child-{number}")["lines"][0]["text"], flush=True)
"""


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def running(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A kernel that lets each family connect a few times."""
    with host(request.param, CONFIG + LIMITS) as made:
        yield made


@pytest.fixture
def here(running: Host) -> Iterator[Host]:
    """It, with its agents gone afterwards."""
    with running.emptied() as made:
        yield made


def script(here: Host, text: str) -> str:
    return here.file("churn.py", text)


def served(here: Host, agent_id: int) -> list[int]:
    here.client.wait(agent_id, timeout=50)
    return [int(line["text"]) for line in here.client.logs(agent_id)["lines"]]


@pytest.mark.parametrize("sandboxed", [True, False], ids=["sandboxed", "unsandboxed"])
def test_an_agent_that_connects_too_often_waits_and_others_do_not(
    here: Host, sandboxed: bool
) -> None:
    path = script(here, CHURN % (2 * BURST))
    reply = here.client.spawn("churn", path, sandboxed=sandboxed)
    assert served(here, reply["id"]) == [BURST]
    other = here.spawn("standard")
    assert other.ask("run", "found = 1") == 1
    with CloveClient(here.kernel.socket) as operator:
        operator.noop()


def test_children_do_not_multiply_it(here: Host) -> None:
    path = script(here, CHILDREN)
    permissions = {"can_spawn": True}
    churn = CHURN % (2 * BURST)
    reply = here.client.spawn("parent", path, args=[churn], permissions=permissions)
    assert served(here, reply["id"]) == [BURST - 1, 0]


def test_an_agent_that_waits_can_be_ended(here: Host) -> None:
    path = script(here, CHURN % (2 * BURST) + "import time\ntime.sleep(1000)\n")
    reply = here.client.spawn("churn", path)
    for line in here.client.follow_logs(reply["id"]):
        assert line["text"] == str(BURST)
        break
    assert here.client.kill(reply["id"])["killed"] is True
