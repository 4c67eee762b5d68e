"""Tokens: list, issue, revoke."""

from __future__ import annotations

from typing import Any

import msgspec

from clove.errors import InvalidRequest, LimitExceeded
from clove.policy.parsing import parse
from clove.relay.machines.machines import check_machine_id
from clove.relay.records import Targets, TokenKind, TokenRecord
from clove.relay.rest.context import Context, shown_time
from clove.relay.rest.route import Call
from clove.relay.rest.types import IssuedToken, Revoked, Token, Tokens

__all__ = [
    "issue_admin",
    "issue_agent",
    "issue_join",
    "issue_machine",
    "list_tokens",
    "revoke_token",
]

HOUR = 3600.0


async def list_tokens(context: Context, call: Call) -> Tokens:
    """All tokens, without their values."""
    page = call.query
    found = await context.store.tokens(page.after, page.limit + 1)
    shown = [Token(**_shown(context, record)) for record in found[: page.limit]]
    return Tokens(tokens=shown, next=shown[-1].id if len(found) > page.limit else "")


async def issue_machine(context: Context, call: Call) -> IssuedToken:
    """For a tunnel of version 1."""
    return await _issue(context, call, TokenKind.MACHINE, machine_id=call.body.machine_id)


async def issue_join(context: Context, call: Call) -> IssuedToken:
    """For a machine's first connection."""
    return await _issue(context, call, TokenKind.JOIN, machine_id=call.body.machine_id)


async def issue_admin(context: Context, call: Call) -> IssuedToken:
    """For an administrator."""
    return await _issue(context, call, TokenKind.ADMIN)


async def issue_agent(context: Context, call: Call) -> IssuedToken:
    """For remote agents."""
    new = call.body
    named = [*new.target_machines]
    if new.target_machine:
        named.insert(0, check_machine_id(new.target_machine))
    if not named and not new.labels:
        raise InvalidRequest(
            "an agent token needs machines that it may reach",
            hint="name target_machine, target_machines or labels",
        )
    permissions = msgspec.to_builtins(new.permissions)
    _check_permissions(context, permissions)
    targets = Targets(machines=tuple(dict.fromkeys(named)), labels=new.labels)
    return await _issue(context, call, TokenKind.AGENT, targets=targets, permissions=permissions)


async def revoke_token(context: Context, call: Call) -> Revoked:
    """Answered when it is on the disk, and what the token had opened was cut."""
    record = await context.tokens.revoke(call.path["token_id"])
    return Revoked(id=record.id, revoked_at=shown_time(record.revoked))


def _check_permissions(context: Context, permissions: dict[str, Any]) -> None:
    if len(msgspec.json.encode(permissions)) > context.limits.metadata:
        raise LimitExceeded(
            f"the permissions have more than {context.limits.metadata} bytes as JSON",
            hint="use fewer or shorter rules",
        )
    parse(None, permissions, home="/")  # the kernel judges by its own home


async def _issue(context: Context, call: Call, kind: TokenKind, **given: Any) -> IssuedToken:
    hours = call.body.expires_hours
    expires = None if hours is None else context.wall() + hours * HOUR
    text, record = await context.tokens.issue(kind, name=call.body.name, expires=expires, **given)
    return IssuedToken(token=text, **_shown(context, record))


def _shown(context: Context, record: TokenRecord) -> dict[str, Any]:
    machines = list(record.targets.machines)
    return {
        "id": record.id,
        "type": record.kind.value,
        "name": record.name,
        "machine_id": record.machine_id,
        "target_machine": machines[0] if machines else "",
        "target_machines": machines,
        "labels": record.targets.labels,
        "permissions": record.permissions,
        "created_at": shown_time(record.created),
        "expires_at": shown_time(record.expires),
        "last_used": shown_time(context.tokens.last_used(record)),
        "used_at": shown_time(record.used),
        "revoked_at": shown_time(record.revoked),
        "valid": record.is_valid(context.wall()),
    }
