"""WHY at any moment in an agent's life, and many at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet import reactor

from clove.client.deferred import DeferredClient
from clove.errors import LimitExceeded, NotFound
from clove.kernel.dry_run import DryRunLimits
from tests.integration.exposed import Host
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX

FIRST_WORD = """
import json, socket, struct, sys

head = struct.Struct("<IIBQ")
with socket.socket(socket.AF_UNIX) as kernel:
    kernel.connect(sys.argv[1])
    asked = json.dumps({"syscall": "READ", "arguments": {"path": "/etc/passwd"}}).encode()
    kernel.sendall(head.pack(0x41474E54, 0, 0x42, len(asked)) + asked)
    size = head.unpack(kernel.recv(head.size, socket.MSG_WAITALL))[3]
    attempt = json.loads(kernel.recv(size, socket.MSG_WAITALL))["attempt"]
print(attempt["happened"], attempt["detail"])
"""


@pytest.fixture
def here(kernel_host: Host) -> Iterator[Host]:
    with kernel_host.emptied() as emptied:
        yield emptied


async def test_dry_runs_of_one_caller_are_made_in_turn_and_are_so_many(here: Host) -> None:
    client = await DeferredClient(reactor, here.kernel.socket).connect()
    most = DryRunLimits().per_caller
    try:
        # The first one waits for what dry runs are made of.
        await client.why("READ", {"path": "/etc/passwd"})
        asked = [client.why("READ", {"path": "/etc/passwd"}) for _ in range(most)]
        with pytest.raises(LimitExceeded):
            await client.why("READ", {"path": "/etc/passwd"})
        found = [(await each)["attempt"]["happened"] for each in asked]
        assert found == ["succeeded"] * most
    finally:
        await client.close()


async def test_an_agents_first_request_may_be_why(here: Host) -> None:
    script = Path(here.kernel.directory, "first.py")
    script.write_text(FIRST_WORD)
    client = await DeferredClient(reactor, here.kernel.socket).connect()
    try:
        for number in range(4):
            spawned = [client.spawn(f"first-{number}-{each}", str(script)) for each in range(8)]
            for reply in [await each for each in spawned]:
                assert (await client.wait(reply["id"], timeout=30))["exit_code"] == 0
                lines = [line["text"] for line in (await client.logs(reply["id"]))["lines"]]
                assert lines == ["succeeded the file could be opened"]
    finally:
        await client.close()


def test_what_an_agent_that_rests_before_its_restart_could_do(here: Host) -> None:
    script = Path(here.kernel.directory, "failing.py")
    script.write_text("raise SystemExit(1)")
    reply = here.client.spawn("failing", str(script), restart_policy="always", max_restarts=50)
    for _ in range(400):
        [entry] = [each for each in here.client.list_agents() if each["id"] == reply["id"]]
        if entry["state"] == "restarting":
            break
        here.client.recv_messages(wait=0.05)
    found = here.client.why("READ", {"path": "/etc/passwd"}, reply["id"])
    assert (found["allowed"], found["agrees"]) == (True, True)
    here.client.kill(reply["id"])
    with pytest.raises(NotFound):
        here.client.why("READ", {"path": "/etc/passwd"}, reply["id"])
