"""Agents on machines: deploy, list, stop."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from clove.errors import AlreadyExists, Unavailable
from clove.relay.kernel_client import KernelClient
from clove.relay.records import Identity, RepeatKey
from clove.relay.rest.agent_types import Deployed, DeployedAgents, Deployment, Stopped
from clove.relay.rest.calls.deploy_on_all import deploy_on_all
from clove.relay.rest.calls.deploy_v1 import check_not_drained, deploy_v1, tunnel_v1
from clove.relay.rest.context import Context
from clove.relay.rest.paging import numbered_page
from clove.relay.rest.reaching import kernel_of
from clove.relay.rest.route import Call, Streamed
from clove.relay.rest.shipping import (
    check_deployment,
    has_files,
    send_files,
    spawn_fields,
    stem_of,
)

__all__ = ["deploy", "list_deployed", "stop"]


async def deploy(context: Context, call: Call) -> Deployed | Streamed:
    """Start a script as a sandboxed agent; with an idempotency key once, however often it is asked."""
    asked: Deployment = call.body
    check_deployment(asked)
    if asked.selector is not None:
        return await deploy_on_all(context, call, deploy_on_one)
    key = call.idempotency_key
    named = RepeatKey(call.identity.token_id, key) if key else None
    return await deploy_on_one(context, call.identity, asked, named)


async def deploy_on_one(
    context: Context, identity: Identity, asked: Deployment, named: RepeatKey | None
) -> Deployed:
    """Start it on the machine that it names."""
    if named is None:
        name = asked.name or _name(asked, secrets.token_hex(4))
        return await _deploy(context, identity, asked, name)
    key = repr((named.token_id, named.key))
    mark = hashlib.sha256(key.encode()).hexdigest()[:12]

    async def start(doubtful: bool) -> Deployed:
        name = asked.name or _name(asked, mark)
        return await _deploy(context, identity, asked, name, mark, doubtful=doubtful)

    return await context.repeats.once(named, msgspec.json.encode(asked), Deployed, start)


async def _deploy(
    context: Context,
    identity: Identity,
    asked: Deployment,
    name: str,
    mark: str = "",
    *,
    doubtful: bool = False,
) -> Deployed:
    """Start it.

    @param mark: of the idempotency key.
    @param doubtful: an earlier request with that may have started it, and it may have ended since.
    """
    context.requests.starts_waiting += 1
    try:
        return await _start(context, identity, asked, name, mark, doubtful=doubtful)
    finally:
        context.requests.starts_waiting -= 1


async def _start(
    context: Context,
    identity: Identity,
    asked: Deployment,
    name: str,
    mark: str,
    *,
    doubtful: bool,
) -> Deployed:
    """As L{_deploy}, which counts it meanwhile."""
    tunnel = await tunnel_v1(context, identity, asked.machine_id)
    if tunnel is not None:
        return await deploy_v1(context, asked, tunnel, doubtful=doubtful)
    async with kernel_of(context, identity, asked.machine_id) as client:
        await check_not_drained(context, asked.machine_id)
        labels = {**asked.labels, **({"idempotency": mark} if mark else {})}
        agent_id = await _started_before(client, mark) if doubtful else None
        if agent_id is None:
            try:
                made = await client.spawn(name, **spawn_fields(asked, labels))
                agent_id = int(made["agent_id"])
            except AlreadyExists:
                agent_id = await _started_before(client, mark) if mark else None
                if agent_id is None:
                    raise
            else:
                if has_files(asked):
                    await send_files(context.clock, client, agent_id, asked)
                return _deployed(asked, agent_id, name)
        if has_files(asked):
            raise Unavailable(
                f"an earlier request with this Idempotency-Key was cut off while agent {agent_id} got its "
                "files; it may have run",
                hint="look at its output, stop it, and deploy with another key",
            )
    return _deployed(asked, agent_id, name)


def _deployed(asked: Deployment, agent_id: int, name: str) -> Deployed:
    return Deployed(
        machine_id=asked.machine_id,
        script_name=asked.script_name,
        agent_id=agent_id,
        agent_name=name,
    )


async def _started_before(client: KernelClient, mark: str) -> int | None:
    """The agent that an earlier request with the same idempotency key has started, ended or not."""
    for entry in await client.list_agents(all=True):
        if entry.get("labels", {}).get("idempotency") == mark:
            return int(entry["id"])
    return None


async def list_deployed(context: Context, call: Call) -> DeployedAgents:
    """The agents of a machine that the bearer may see there."""
    machine_id = call.path["machine_id"]
    async with kernel_of(context, call.identity, machine_id) as client:
        found = await client.list_agents(all=call.query.all)
        page, following = numbered_page(found, lambda entry: entry["id"], call.query)
        agents = [dict(entry) for entry in page]
    return DeployedAgents(machine_id=machine_id, agents=agents, next=following)


async def stop(context: Context, call: Call) -> Stopped:
    """End an agent."""
    agent_id, machine_id = int(call.path["agent_id"]), call.body.machine_id
    tunnel = await tunnel_v1(context, call.identity, machine_id)
    if tunnel is not None:
        tunnel.command("stop_agent", agent_id=agent_id)
        return Stopped(status="sent", machine_id=machine_id, agent_id=agent_id)
    async with kernel_of(context, call.identity, machine_id) as client:
        await client.kill(agent_id=agent_id)
    return Stopped(machine_id=machine_id, agent_id=agent_id)


def _name(asked: Deployment, suffix: str) -> str:
    return f"{stem_of(asked)}-{suffix}"
