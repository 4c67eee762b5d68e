"""Spawns agents of every kind, and starts each anew from its record; prints what is to be compared.

`python restore_driver.py` prints a JSON object: of each kind the record, and of both starts what
SPAWN reports and what the agent itself sees.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from clove import CloveClient
from clove.kernel.launch.record import read_record, write_record
from tests.integration.inner_kernel import InnerKernel, run_kernel
from tests.integration.restore_kinds import AGENT, CHILD, KINDS, PARENT

PATIENCE = 30.0


def until_facts(client: CloveClient, agent_id: int) -> Any:
    """What an agent has printed of itself."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for line in client.logs(agent_id=agent_id)["lines"]:
            if line["text"].startswith("{"):
                return json.loads(line["text"])
        time.sleep(0.02)
    raise AssertionError(client.logs(agent_id=agent_id))


def until_named(client: CloveClient, name: str) -> int:
    """The id of an agent that another one spawns."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for entry in client.list_agents():
            if entry["name"] == name and entry["running"]:
                return int(entry["id"])
        time.sleep(0.02)
    raise AssertionError(name)


class Comparison:
    """Both starts of each agent."""

    def __init__(self, kernel: InnerKernel, client: CloveClient) -> None:
        self._kernel = kernel
        self._client = client
        self.found: dict[str, Any] = {}

    async def compare(self, kind: str, agent_id: int) -> None:
        """Note how an agent runs, end it, start it anew, and note it again."""
        parts, client = self._kernel.parts, self._client
        agents, provisioner = parts.kernel.agents, parts._agents.provisioner
        runs = [await self._run(agent_id)]
        text = write_record(provisioner.record_of(agent_id))
        await self._kernel.in_thread(client.kill, agent_id=agent_id)
        await parts._foundation.background.drain()
        restored = await agents.restore(read_record(text))
        runs.append(await self._run(restored.agent_id))
        again = write_record(provisioner.record_of(agent_id))
        await self._kernel.in_thread(client.kill, agent_id=agent_id)
        self.found[kind] = {
            "record": json.loads(text),
            "same": read_record(again) == read_record(text),
            "runs": runs,
        }

    async def _run(self, agent_id: int) -> dict[str, Any]:
        agent = self._kernel.parts.kernel.agents.find(agent_id=agent_id, name=None)
        seen = await self._kernel.in_thread(until_facts, self._client, agent_id)
        return {
            "seen": seen,
            "isolation": agent.isolation,
            "warm": agent.warm,
            "uid": os.stat(f"/proc/{agent.pid}").st_uid,
            "policy": agent.lifecycle.policy.when,
            "parent": agent.parent_id,
        }


async def compare_all(kernel: InnerKernel) -> None:
    """All kinds, one after the other."""
    script = kernel.file("agent.py", AGENT)
    os.makedirs(f"{kernel.directory}/granted")
    kernel.file("granted/file", "granted")
    os.chmod(f"{kernel.directory}/granted", 0o755)
    client = await kernel.in_thread(CloveClient, kernel.socket)
    comparison = Comparison(kernel, client)
    try:
        for kind, fields in KINDS.items():
            filled = json.loads(json.dumps(fields).replace("DIRECTORY", kernel.directory))
            filled.setdefault("script", None if "command" in filled else script)
            reply = await kernel.in_thread(client.spawn, kind, **filled)
            await comparison.compare(kind, reply["id"])
        parent = kernel.file("parent.py", PARENT.format(child=CHILD, agent=AGENT))
        await kernel.in_thread(client.spawn, "parent", parent, permissions={"can_spawn": True})
        await comparison.compare("child", await kernel.in_thread(until_named, client, "child"))
    finally:
        client.close()
    json.dump(comparison.found, sys.stdout)


if __name__ == "__main__":
    run_kernel(compare_all, sys.argv[1] if len(sys.argv) > 1 else "")
