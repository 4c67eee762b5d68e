"""The permissions that an agent's token carries, as the REST API takes them. Pure.

What rules mean, and whether they make sense, `clove/policy/` says.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.base import Request

__all__ = ["LlmQuota", "Permissions"]

Rules = Annotated[list[Annotated[str, msgspec.Meta(max_length=1024)]], msgspec.Meta(max_length=128)]
HTTPMethod = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Quota = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class LlmQuota(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Of the model."""

    max_tokens: Quota = 0
    max_calls: Quota = 0


class Permissions(Request, frozen=True, kw_only=True, omit_defaults=True):
    """Fields of docs/wire.md; what is left out is as the level has it."""

    level: (
        Literal["unrestricted", "standard", "sandboxed", "readonly", "minimal"] | msgspec.UnsetType
    ) = msgspec.UNSET
    can_exec: bool | msgspec.UnsetType = msgspec.UNSET
    can_read: bool | msgspec.UnsetType = msgspec.UNSET
    can_write: bool | msgspec.UnsetType = msgspec.UNSET
    can_think: bool | msgspec.UnsetType = msgspec.UNSET
    can_spawn: bool | msgspec.UnsetType = msgspec.UNSET
    can_http: bool | msgspec.UnsetType = msgspec.UNSET
    can_message: bool | msgspec.UnsetType = msgspec.UNSET
    can_store: bool | msgspec.UnsetType = msgspec.UNSET
    can_emit: bool | msgspec.UnsetType = msgspec.UNSET
    allowed_paths: Rules | msgspec.UnsetType = msgspec.UNSET
    allowed_read_paths: Rules | msgspec.UnsetType = msgspec.UNSET
    allowed_write_paths: Rules | msgspec.UnsetType = msgspec.UNSET
    blocked_paths: Rules | msgspec.UnsetType = msgspec.UNSET
    allowed_commands: Rules | msgspec.UnsetType = msgspec.UNSET
    blocked_commands: Rules | msgspec.UnsetType = msgspec.UNSET
    allowed_domains: Rules | msgspec.UnsetType = msgspec.UNSET
    allowed_http_methods: list[HTTPMethod] | msgspec.UnsetType = msgspec.UNSET
    llm_quota: LlmQuota | msgspec.UnsetType = msgspec.UNSET
    max_llm_tokens: Quota | msgspec.UnsetType = msgspec.UNSET
    max_llm_calls: Quota | msgspec.UnsetType = msgspec.UNSET
    max_exec_time_ms: Quota | msgspec.UnsetType = msgspec.UNSET
