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
from clove.relay.rest.token_types import (
    IssuedToken,
    Revoked,
    Rotated,
    Rotation,
    Token,
    TokenPatch,
    Tokens,
)
from clove.relay.tokens.narrowing import Narrowing, narrowed

__all__ = [
    "get_token",
    "issue_admin",
    "issue_agent",
    "issue_join",
    "issue_machine",
    "issued",
    "list_tokens",
    "narrow_token",
    "own_token",
    "revoke_own_token",
    "revoke_token",
    "rotate_token",
]

HOUR = 3600.0


async def list_tokens(context: Context, call: Call) -> Tokens:
    """All tokens, without their values."""
    page = call.query
    found = await context.store.tokens(page.after, page.limit + 1)
    shown = [Token(**_shown(context, record)) for record in found[: page.limit]]
    return Tokens(tokens=shown, next=shown[-1].id if len(found) > page.limit else "")


async def own_token(context: Context, call: Call) -> Token:
    """The one that is shown."""
    return Token(**_shown(context, await context.store.token(call.identity.token_id)))


async def get_token(context: Context, call: Call) -> Token:
    """One of them."""
    return Token(**_shown(context, await context.store.token(call.path["token_id"])))


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


async def revoke_own_token(context: Context, call: Call) -> Revoked:
    """The same for the one that is shown."""
    record = await context.tokens.revoke(call.identity.token_id)
    return Revoked(id=record.id, revoked_at=shown_time(record.revoked))


async def narrow_token(context: Context, call: Call) -> Token:
    """Answered when it is on the disk, and what the token does not reach any more was cut.

    @raise InvalidRequest: it would reach more, or be allowed more; or it is not valid any more.
    """
    asked: TokenPatch = call.body
    permissions = None
    if asked.permissions is not None:
        permissions = msgspec.to_builtins(asked.permissions)
        _check_permissions(context, permissions)
    hours, machines = asked.expires_hours, asked.target_machines
    narrowing = Narrowing(
        name=asked.name,
        expires=None if hours is None else context.wall() + hours * HOUR,
        machines=None if machines is None else tuple(dict.fromkeys(machines)),
        labels=asked.labels,
        permissions=permissions,
    )
    now = context.wall()
    record = await context.store.change_token(
        call.path["token_id"], lambda each: narrowed(each, narrowing, now)
    )
    context.tokens.expires_sooner(record)
    await context.machines.narrowed(record)
    return Token(**_shown(context, record))


async def rotate_token(context: Context, call: Call) -> Rotated:
    """A new one with the same kind, name, machines and permissions; the old one ends after the grace period.

    @raise InvalidRequest: the old one is not valid any more, or the new one would not end and one of its kind has to.
    """
    asked: Rotation = call.body
    now = context.wall()
    old = await _valid(context, call.path["token_id"])
    lives = None if old.expires is None else old.expires - old.created
    if asked.expires_hours is not msgspec.UNSET:
        lives = None if asked.expires_hours is None else asked.expires_hours * HOUR
    if lives is None and old.kind in (TokenKind.AGENT, TokenKind.JOIN):
        raise InvalidRequest(
            f"a token of kind {old.kind.value} expires",
            hint="say when: expires_hours, or leave it out",
        )
    text, record = await context.tokens.issue(
        old.kind,
        name=old.name,
        machine_id=old.machine_id,
        targets=old.targets,
        permissions=old.permissions,
        expires=None if lives is None else now + lives,
    )
    try:
        _check_same(old, await _valid(context, old.id))
    except InvalidRequest:
        await context.tokens.revoke(record.id)
        raise
    if asked.grace_seconds:
        until = (await context.tokens.shorten(old.id, now + asked.grace_seconds)).expires
    else:
        await context.tokens.revoke(old.id)
        until = None
    shown = _shown(context, record)
    return Rotated(token=text, replaced=old.id, replaced_until=shown_time(until), **shown)


async def _valid(context: Context, token_id: str) -> TokenRecord:
    """@raise InvalidRequest: it is not valid any more."""
    found = await context.store.token(token_id)
    if not found.is_valid(context.wall()):
        raise InvalidRequest(
            "this token is not valid any more, so none takes its place",
            hint="make a new one: clove tokens create",
        )
    return found


def _check_same(old: TokenRecord, now: TokenRecord) -> None:
    """@raise InvalidRequest: what it may do was changed meanwhile, which its successor would not know."""
    if (old.targets, old.permissions) != (now.targets, now.permissions):
        raise InvalidRequest("this token was narrowed while it was rotated", hint="rotate it again")


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
    return await issued(context, kind, name=call.body.name, expires=expires, **given)


async def issued(context: Context, kind: TokenKind, **given: Any) -> IssuedToken:
    """A new token, as replies have it.

    @param given: as L{Tokens.make<clove.relay.tokens.tokens.Tokens.make>} has it.
    """
    text, record = await context.tokens.issue(kind, **given)
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
