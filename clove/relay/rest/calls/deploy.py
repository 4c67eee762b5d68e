"""Agents on machines: deploy, list, stop."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from clove.errors import AlreadyExists, Unavailable
from clove.relay.kernel_client import KernelClient
from clove.relay.rest.agent_types import Deployed, DeployedAgents, Deployment, Stopped
from clove.relay.rest.context import Context
from clove.relay.rest.reaching import kernel_of
from clove.relay.rest.route import Call
from clove.relay.rest.shipping import check_deployment, send_archive, spawn_fields, stem_of

__all__ = ["deploy", "list_deployed", "stop"]


async def deploy(context: Context, call: Call) -> Deployed:
    """Start a script as a sandboxed agent; with an idempotency key once, however often it is asked."""
    asked: Deployment = call.body
    check_deployment(asked)
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
            agent_id = (await client.spawn(name, **spawn_fields(asked, labels)))["agent_id"]
        except AlreadyExists:
            agent_id = await _started_before(client, name, mark)
        else:
            if asked.command:
                await send_archive(context.clock, client, agent_id, asked)
    return Deployed(
        machine_id=asked.machine_id,
        script_name=asked.script_name,
        agent_id=agent_id,
        agent_name=name,
    )


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
    return f"{stem_of(asked)}-{suffix}"
