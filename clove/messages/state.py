"""STORE, FETCH, DELETE and KEYS: the shared state store."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "DeleteReply",
    "DeleteRequest",
    "FetchReply",
    "FetchRequest",
    "KeysReply",
    "KeysRequest",
    "Scope",
    "StoreReply",
    "StoreRequest",
]

Scope = Literal["global", "agent", "session"]


class StoreRequest(Request, frozen=True, kw_only=True):
    """Set a key.

    @ivar value: any JSON.
    @ivar ttl: seconds until the key is gone.
    @ivar if_version: store only if the key is at this version; 0: only if there is none.
    """

    key: str
    value: msgspec.Raw
    scope: Scope = "global"
    ttl: Annotated[float, msgspec.Meta(gt=0)] | None = None
    if_version: Annotated[int, msgspec.Meta(ge=0)] | None = None


class StoreReply(Reply, frozen=True, kw_only=True):
    """The key's new version."""

    key: str = ""
    version: int = 0


class FetchRequest(Request, frozen=True, kw_only=True):
    """Read a key; without a scope, the caller's own first, then session, then global."""

    key: str
    scope: Scope | None = None


class FetchReply(Reply, frozen=True, kw_only=True):
    """A key's value, or `"exists": false`."""

    exists: bool = False
    value: msgspec.Raw | None = None
    scope: str = ""
    version: int = 0


class DeleteRequest(Request, frozen=True, kw_only=True):
    """Delete what a FETCH with the same fields would find."""

    key: str
    scope: Scope | None = None


class DeleteReply(Reply, frozen=True, kw_only=True):
    """Whether there was such a key."""

    deleted: bool = False


class KeysRequest(Request, frozen=True, kw_only=True):
    """Names of the keys that the caller can fetch."""

    prefix: str = ""
    scope: Scope | None = None


class KeysReply(Reply, frozen=True, kw_only=True):
    """Sorted, each once. `truncated`: there are more than one reply may have."""

    keys: list[str] = []
    count: int = 0
    truncated: bool = False
