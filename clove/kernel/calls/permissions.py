"""GET_PERMS, SET_PERMS and WHY.

An agent sees and narrows its own permissions and those of its descendants. The operator sees
and sets all. Narrowing an agent narrows its descendants as well, so that no child ever has more
than its parent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from clove.errors import InvalidRequest, PermissionDenied
from clove.framing import Opcode
from clove.kernel.authority import check_spawn, require
from clove.kernel.mounts.mount_request import NOTHING, grants_of, mount_request
from clove.kernel.syscall import UNGOVERNED
from clove.messages.permissions import (
    GetPermsReply,
    GetPermsRequest,
    SetPermsReply,
    SetPermsRequest,
    WhyReply,
    WhyRequest,
)
from clove.policy import (
    FLAGS,
    Decision,
    Permissions,
    Work,
    excesses,
    explain_connect,
    held,
    narrow,
    parse,
    requested_fields,
)
from clove.spelling import near, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clove.kernel.context import Context
    from clove.kernel.principal import Principal

__all__ = ["get_perms", "set_perms", "why"]

WORKSPACE = "/workspace"
"""Where the relative paths of one in a sandbox start."""
_NETWORK = ("can_http", "allowed_domains", "allowed_http_methods")
"""What the connections of an agent's own programs are judged by."""
_IN_VIEW = ("READ", "WRITE", "EXEC", "SPAWN")
UNTRIED = (
    "judged by the words alone: links, resolved addresses, quotas, limits and the system's own "
    "permissions can still refuse it"
)


def get_perms(ctx: Context, request: GetPermsRequest) -> GetPermsReply:
    """One's own permissions, or a descendant's."""
    principal = _target(ctx, request.agent_id, "GET_PERMS")
    return GetPermsReply(agent_id=principal.agent_id, permissions=principal.permissions.to_wire())


def set_perms(ctx: Context, request: SetPermsRequest) -> SetPermsReply:
    """Set permissions; an agent can only narrow."""
    principal = _target(ctx, request.agent_id, "SET_PERMS")
    asked = request.permissions
    level, mapping = (asked, None) if isinstance(asked, str) else (request.level, asked)
    if level == "" and mapping is not None:
        level = None  # from a client that sends every field
    if level is None and mapping is None:
        raise InvalidRequest("SET_PERMS needs `level` or `permissions`")
    wanted = parse(level, mapping, principal.permissions)
    if not ctx.principal.is_operator:
        wanted = _narrowed(principal.permissions, wanted, requested_fields(mapping))
    changes = {principal: wanted}
    work = Work("permissions held against those of descendants")
    for other in ctx.kernel.registry:
        if principal.agent_id in other.ancestors:
            narrowed = held(wanted, other.permissions, work)
            if narrowed is not other.permissions:
                changes[other] = narrowed
    for changed, permissions in changes.items():
        earlier, changed.permissions = changed.permissions, permissions
        if any(getattr(earlier, field) != getattr(permissions, field) for field in _NETWORK):
            ctx.kernel.gateways.judge_again(changed.agent_id)
        if not ctx.kernel.syscalls[Opcode.SUBSCRIBE].is_permitted(permissions):
            ctx.kernel.events.close(changed.agent_id)  # what it subscribed to would go on else
    if ctx.principal.is_operator and principal.sandboxed:
        named = requested_fields(mapping)
        before = principal.grants or NOTHING
        principal.grants = grants_of(named, wanted, before, as_owner=True)
    return SetPermsReply(
        agent_id=principal.agent_id,
        permissions=wanted.to_wire(),
        restart_needed=any(_is_shown_otherwise(changed, work) for changed in changes),
    )


def _is_shown_otherwise(principal: Principal, work: Work | None = None) -> bool:
    """Would a restart of its sandbox mount other paths of the host? Perhaps, where to find out
    would be too much work.
    """
    if principal.mounted is None:
        return False
    return (
        mount_request(principal.permissions, principal.grants or NOTHING, work) != principal.mounted
    )


async def why(ctx: Context, request: WhyRequest) -> WhyReply:
    """What policy says to a syscall, and what happens when it is tried."""
    name = _name(request.syscall)
    _check_arguments(name, _fields(ctx, name), request.arguments)
    principal = _target(ctx, request.agent_id, "WHY")
    cwd = principal.cwd or (WORKSPACE if principal.sandboxed else None)
    decision = _explain(ctx, name, principal.permissions, request.arguments, cwd)
    if decision.allowed:
        decision = _by_kind(principal, name, request.arguments) or decision
    reply = WhyReply(
        agent_id=principal.agent_id,
        syscall=name,
        allowed=decision.allowed,
        rule=decision.rule,
        hint=decision.hint,
        note=UNTRIED if decision.allowed else "",
    )
    if not request.attempt:
        return reply
    outcome = await ctx.kernel.dry_runs.make(ctx.principal, principal, name, request.arguments)
    from clove.kernel.dry_run.diagnosis import Conditions, diagnose

    found = outcome.succeeded
    conditions = Conditions(principal.sandboxed, principal.network, _is_shown_otherwise(principal))
    path = os.path.normpath(os.path.join(cwd or "/", str(request.arguments.get("path", ""))))
    said = diagnose(name, path, decision, outcome, principal.permissions, conditions)
    return msgspec.structs.replace(
        reply,
        note=said or (reply.note if found is None else ""),
        attempt=outcome.to_wire(),
        agrees=None if found is None else found == decision.allowed,
    )


def _by_kind(principal: Principal, syscall: str, arguments: Mapping[str, Any]) -> Decision | None:
    """Why one of its kind may not do this, whatever its permissions; None: it may."""
    if principal.view is None and not principal.is_agent and syscall in _IN_VIEW:
        return Decision(False, "peer-uid", "another user's connection has no files and commands")
    if syscall != "SPAWN":
        return None
    try:
        check_spawn(
            principal,
            sandboxed=arguments.get("sandboxed") is not False,
            degraded=arguments.get("allow_degraded") is True or bool(arguments.get("degrade")),
            network=arguments.get("network") is True,
        )
    except PermissionDenied as error:
        return Decision(False, error.rule, error.hint)
    return None


def _explain(
    ctx: Context,
    syscall: str,
    permissions: Permissions,
    arguments: Mapping[str, Any],
    cwd: str | None,
) -> Decision:
    """What its line in the table says."""
    if syscall == "CONNECT":
        return explain_connect(permissions, arguments)
    line = ctx.kernel.syscalls.get(Opcode[syscall])
    return UNGOVERNED if line is None else line.explain(permissions, arguments, cwd)


def _fields(ctx: Context, syscall: str) -> tuple[str, ...] | None:
    """The arguments that a question may name; None: any, since the answer depends on none."""
    if syscall == "CONNECT":
        return ("host", "port")
    line = ctx.kernel.syscalls.get(Opcode[syscall])
    if line is None or line.by_arguments is None:
        return None
    return line.request.__struct_encode_fields__


def _check_arguments(
    syscall: str, known: tuple[str, ...] | None, arguments: Mapping[str, Any]
) -> None:
    """@raise InvalidRequest: the syscall has no such field: the answer would be about another."""
    for field in arguments:
        if known is not None and field not in known:
            raise InvalidRequest(
                f"{syscall} has no argument `{shown(field)}`", hint=near(field, known)
            )


def _name(syscall: str | int) -> str:
    if isinstance(syscall, str) and syscall.upper() == "CONNECT":
        return "CONNECT"
    try:
        if isinstance(syscall, int):
            return Opcode(syscall).name
        return Opcode[syscall.upper().removeprefix("SYS_")].name
    except (ValueError, KeyError):
        raise InvalidRequest(
            f"no such syscall: {syscall!r}", hint="a name such as READ, or an opcode"
        ) from None


def _target(ctx: Context, agent_id: int | None, what: str) -> Principal:
    """The principal that the permissions are of, if the caller may see them.

    An agent gets the same answer for an id that it may not see and for one that is not there.
    """
    mine = ctx.principal
    if not agent_id or agent_id == mine.agent_id:
        return mine
    registry = ctx.kernel.registry
    if mine.is_operator:
        return registry.find(agent_id=agent_id)
    found = registry.get(agent_id)
    require(mine, what, found, agent_id)
    assert found is not None  # only an operator may do anything to an unknown target
    return found


def _narrowed(now: Permissions, wanted: Permissions, named: frozenset[str]) -> Permissions:
    """What an agent may make of permissions: never more.

    What a level brings beyond them is cut off silently; what the request names
    itself is refused. Blocked lists only ever grow.

    @raise PermissionDenied: it names something more.
    """
    refused = [
        field
        for field in excesses(now, wanted)
        if field in FLAGS
        or field == "level"
        or (field in named and not field.startswith("blocked_"))
    ]
    if refused:
        raise PermissionDenied(
            f"SET_PERMS would raise {', '.join(refused)}",
            rule=f"narrow-only: {refused[0]}",
            hint="only the operator can raise permissions",
        )
    return narrow(now, wanted)
