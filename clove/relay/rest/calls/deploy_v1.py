"""Deploying to a machine whose tunnel has version 1: the kernel is told, and answers nothing."""

from __future__ import annotations

import base64
import shlex

import msgspec

from clove.errors import InvalidRequest, PermissionDenied, Unavailable
from clove.relay.absent import no_machine
from clove.relay.machines.presence import TunnelV1
from clove.relay.records import Identity, TokenKind
from clove.relay.rest.agent_types import Deployed, Deployment
from clove.relay.rest.context import Context

__all__ = ["check_not_drained", "deploy_v1", "tunnel_v1"]

_SAID = (
    "machine_id",
    "selector",
    "script_name",
    "script_content",
    "args",
    "attach",
    "socket_argument",
)
"""Fields that version 1 has words for, or that concern the relay alone; `attach` is a wish that LOGS replace."""
_MOST = 8 << 20
"""Bytes of a script."""


async def check_not_drained(context: Context, machine_id: str) -> None:
    """@raise Unavailable: nothing is to be started there."""
    machine = await context.machines.get(machine_id)
    if machine.draining:
        name = shlex.quote(machine_id)
        raise Unavailable(
            f"machine {machine_id} is drained: nothing new is started there",
            hint=f"choose another, or end that: `draining` false (clove machines drain {name} --off)",
        )


async def tunnel_v1(context: Context, identity: Identity, machine_id: str) -> TunnelV1 | None:
    """The machine's tunnel, if that has version 1.

    @raise NotFound: there is no such machine, or the bearer may not reach it.
    @raise NotAuthenticated: the bearer's token is not valid any more.
    @raise PermissionDenied: its token has permissions, which version 1 cannot tell the kernel.
    """
    link = context.machines.hub.links().get(machine_id)
    if not isinstance(link, TunnelV1):
        return None
    if not await context.machines.may_reach(identity, machine_id):
        raise no_machine()
    context.tokens.check_valid(identity)
    if identity.kind is not TokenKind.ADMIN:
        raise PermissionDenied(
            f"the tunnel of {machine_id!r} has version 1, which tells its kernel of no token",
            rule="version 1",
            hint="use a token of kind admin, or run a kernel of this version there",
        )
    return link


async def deploy_v1(
    context: Context, asked: Deployment, tunnel: TunnelV1, *, doubtful: bool = False
) -> Deployed:
    """Send C{deploy_agent}. Whether it runs is not answered; its id is not known.

    @param doubtful: it may have been sent before.
    @raise InvalidRequest: version 1 has no words for what is asked.
    @raise Unavailable: it may have been started already, which cannot be found out.
    """
    if doubtful:
        raise Unavailable(
            "an earlier request with this Idempotency-Key was cut off; it may have been started",
            hint="look on the machine, and deploy with another key",
        )
    default = msgspec.structs.asdict(Deployment(machine_id=asked.machine_id))
    given = msgspec.structs.asdict(asked)
    unsaid = sorted(name for name in default if name not in _SAID and given[name] != default[name])
    if unsaid or not asked.script_name:
        raise InvalidRequest(
            f"the tunnel of {asked.machine_id!r} has version 1, which starts scripts with arguments alone",
            hint=f"leave out {', '.join(unsaid)}" if unsaid else "deploy a script",
        )
    content = asked.script_content.encode()
    if len(content) > _MOST:
        raise InvalidRequest(f"a script has at most {_MOST} bytes there")
    await check_not_drained(context, asked.machine_id)
    tunnel.command(
        "deploy_agent",
        script_name=asked.script_name,
        script_content=base64.b64encode(content).decode(),
        args=asked.args,
    )
    return Deployed(
        status="sent",
        machine_id=asked.machine_id,
        script_name=asked.script_name,
        agent_id=0,
        agent_name="",
    )
