"""STORE, FETCH, DELETE and KEYS.

Every agent may read and write all `global` and `session` keys: these scopes
are what agents share. `agent` keys are their owner's alone.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from clove.kernel.answers import then
from clove.kernel.context import Context
from clove.kernel.state import Found
from clove.messages.state import (
    DeleteReply,
    DeleteRequest,
    FetchReply,
    FetchRequest,
    KeysReply,
    KeysRequest,
    StoreReply,
    StoreRequest,
)
from clove.messages.value import checked

__all__ = ["delete", "fetch", "keys", "store"]


def store(ctx: Context, request: StoreRequest) -> StoreReply | Coroutine[Any, Any, StoreReply]:
    """Set a key.

    @raise InvalidRequest: a bad key, or unsound JSON.
    @raise AlreadyExists: the key is not at `if_version`.
    @raise LimitExceeded: too large, too many, or no room.
    """
    version = ctx.kernel.state.store(
        ctx.principal.agent_id,
        request.key,
        checked(request.value, "value"),
        request.scope,
        request.ttl,
        request.if_version,
        ctx.principal.family,
    )
    return then(version, _stored, request)


def _stored(version: int, request: StoreRequest) -> StoreReply:
    return StoreReply(key=request.key, version=version)


def fetch(ctx: Context, request: FetchRequest) -> FetchReply | Coroutine[Any, Any, FetchReply]:
    """Read a key; that there is none is no error."""
    found = ctx.kernel.state.fetch(ctx.principal.agent_id, request.key, request.scope)
    return then(found, _fetched, None)


def _fetched(found: Found | None, _: None) -> FetchReply:
    if found is None:
        return FetchReply()
    return FetchReply(exists=True, value=found.value, scope=found.scope, version=found.version)


def delete(ctx: Context, request: DeleteRequest) -> DeleteReply | Coroutine[Any, Any, DeleteReply]:
    """Delete a key; that there is none is no error."""
    deleted = ctx.kernel.state.delete(ctx.principal.agent_id, request.key, request.scope)
    return then(deleted, _deleted, None)


def _deleted(deleted: bool, _: None) -> DeleteReply:
    return DeleteReply(deleted=deleted)


def keys(ctx: Context, request: KeysRequest) -> KeysReply | Coroutine[Any, Any, KeysReply]:
    """List keys that begin with a prefix."""
    caller = ctx.principal
    listing = ctx.kernel.state.keys(caller.agent_id, request.prefix, request.scope, caller.family)
    return then(listing, _listed, None)


def _listed(listing: tuple[list[str], bool], _: None) -> KeysReply:
    found, truncated = listing
    return KeysReply(keys=found, count=len(found), truncated=truncated)
