"""The fields of permissions as requests have them (docs/wire.md), to kernels and to relays. Pure."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from clove.policy.domains import METHODS
from clove.policy.levels import Level

__all__ = ["MAX_LIST", "LlmQuotaFields", "PermissionFields"]

MAX_LIST: Final = 128
"""Entries of one list of rules; more are a LimitExceeded."""

Quota = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Rules = Annotated[list[str], msgspec.Meta(extra_json_schema={"maxItems": MAX_LIST})]
"""How many there may be is checked where they are parsed, and said here for those that read a schema."""
Methods = Annotated[
    list[str],
    msgspec.Meta(extra_json_schema={"items": {"type": "string", "enum": sorted(METHODS)}}),
]


class LlmQuotaFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the model."""

    max_tokens: Quota = 0
    max_calls: Quota = 0


class PermissionFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is unset stays as it is in the level, or in what the request narrows."""

    level: Level | msgspec.UnsetType = msgspec.UNSET
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
    allowed_http_methods: Methods | msgspec.UnsetType = msgspec.UNSET
    llm_quota: LlmQuotaFields | msgspec.UnsetType = msgspec.UNSET
    max_llm_tokens: Quota | msgspec.UnsetType = msgspec.UNSET
    max_llm_calls: Quota | msgspec.UnsetType = msgspec.UNSET
    max_exec_time_ms: Quota | msgspec.UnsetType = msgspec.UNSET
