"""Agents on machines: deploy, list, stop."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

import msgspec

from clove.errors import AlreadyExists, Unavailable
from clove.relay.kernel_client import KernelClient
from clove.relay.rest.agent_types import Deployed, DeployedAgents, Deployment, Stopped
from clove.relay.rest.context import Context
from clove.relay.rest.reaching import kernel_of
from clove.relay.rest.route import Call

__all__ = ["deploy", "list_deployed", "stop"]

SCRIPT_RUNNER: Final = (
    "import runpy,sys;n=sys.argv[1];open(n,'wb').write(sys.stdin.buffer.read());"
    "sys.argv=sys.argv[1:];runpy.run_path(n,run_name='__main__')"
)
"""Runs a script that comes by standard input as the file of its name in the working directory."""
SOCKET: Final = "/tmp/clove.sock"  # noqa: S108 the contract's, inside a sandbox
_STEM: Final = 100


async def deploy(context: Context, call: Call) -> Deployed:
    """Start a script as a sandboxed agent; with an idempotency key once, however often it is asked."""
    asked: Deployment = call.body
    if not call.idempotency_key:
        return await _deploy(context, call, asked.name or _name(asked, secrets.token_hex(4)))
    key = (call.identity.token_id, call.idempotency_key)
    mark = hashlib.sha256(repr(key).encode()).hexdigest()[:12]

    async def start() -> Deployed:
        return await _deploy(context, call, asked.name or _name(asked, mark), mark)

    found: Deployed = await context.repeats.once(*key, msgspec.json.encode(asked), start)
    return found


async def _deploy(context: Context, call: Call, name: str, mark: str = "") -> Deployed:
    asked: Deployment = call.body
    async with kernel_of(context, call.identity, asked.machine_id) as client:
        machine = await context.machines.get(asked.machine_id)
        if machine.draining:
            raise Unavailable(
                f"machine {asked.machine_id} is drained: nothing new is started there",
                hint="choose another, or end that with draining: false",
            )
        labels = {**asked.labels, **({"idempotency": mark} if mark else {})}
        try:
            reply = await client.spawn(name, **_spawned(asked, labels))
            agent_id = reply["agent_id"]
        except AlreadyExists:
            agent_id = await _started_before(client, name, mark)
    return Deployed(
        machine_id=asked.machine_id,
        script_name=asked.script_name,
        agent_id=agent_id,
        agent_name=name,
    )


def _spawned(asked: Deployment, labels: dict[str, str]) -> dict[str, Any]:
    """What SPAWN is asked."""
    permissions = msgspec.to_builtins(asked.permissions)
    return {
        "command": ["python3", "-c", SCRIPT_RUNNER, asked.script_name, SOCKET, *asked.args],
        "stdin": {"text": asked.script_content},
        "env": asked.env or None,
        "labels": labels or None,
        "limits": asked.limits or None,
        "network": asked.network or None,
        "permissions": permissions or None,
        "restart_policy": asked.restart_policy,
        "timeout": asked.timeout,
    }


async def _started_before(client: KernelClient, name: str, mark: str) -> int:
    """The agent that an earlier request with the same idempotency key has started.

    @raise AlreadyExists: another has the name.
    """
    for entry in await client.list_agents() if mark else ():
        if entry["name"] == name and entry.get("labels", {}).get("idempotency") == mark:
            return int(entry["id"])
    raise AlreadyExists(f"an agent is called {name!r} already", hint="choose another name")


async def list_deployed(context: Context, call: Call) -> DeployedAgents:
    """The agents of a machine that the bearer may see there."""
    machine_id = call.path["machine_id"]
    async with kernel_of(context, call.identity, machine_id) as client:
        found = await client.list_agents(all=call.query.all)
    return DeployedAgents(machine_id=machine_id, agents=[dict(entry) for entry in found])


async def stop(context: Context, call: Call) -> Stopped:
    """End an agent."""
    agent_id = int(call.path["agent_id"])
    async with kernel_of(context, call.identity, call.body.machine_id) as client:
        await client.kill(agent_id=agent_id)
    return Stopped(machine_id=call.body.machine_id, agent_id=agent_id)


def _name(asked: Deployment, suffix: str) -> str:
    stem = asked.script_name.removesuffix(".py")[:_STEM]
    return f"{stem}-{suffix}"
