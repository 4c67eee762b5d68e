"""GET_AUDIT_LOG and SET_AUDIT_CONFIG: the record of what principals did."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "AuditConfig",
    "AuditEntry",
    "Category",
    "GetAuditLogReply",
    "GetAuditLogRequest",
    "SetAuditConfigReply",
    "SetAuditConfigRequest",
]

Category = Literal[
    "SECURITY",
    "AGENT_LIFECYCLE",
    "IPC",
    "STATE_STORE",
    "RESOURCE",
    "SYSCALL",
    "NETWORK",
    "WORLD",
]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done or tried.

    @ivar timestamp: ISO 8601, UTC, with milliseconds.
    @ivar details: an object; what is in it depends on the event type.
    """

    id: int
    timestamp: str
    category: str
    event_type: str
    agent_id: int
    agent_name: str
    success: bool
    details: msgspec.Raw


class AuditConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded, and how much of it is kept."""

    max_entries: int = 10_000
    log_syscalls: bool = False
    log_security: bool = True
    log_lifecycle: bool = True
    log_ipc: bool = True
    log_state: bool = True
    log_resource: bool = True
    log_network: bool = True
    log_world: bool = True


class GetAuditLogRequest(Request, frozen=True, kw_only=True):
    """Read the log. Agents see their own entries only.

    @ivar since_id: entries after this id, the first `limit` of them; without it
        the newest `limit` entries. Oldest first in both cases.
    @ivar limit: 0: none.
    """

    category: Category | None = None
    agent_id: int | None = None
    since_id: int | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] = 100


class GetAuditLogReply(Reply, frozen=True, kw_only=True):
    """Entries, oldest first."""

    count: int = 0
    entries: list[AuditEntry] = []


class SetAuditConfigRequest(Request, frozen=True, kw_only=True):
    """Change what is named, leave the rest. For operators."""

    max_entries: Annotated[int, msgspec.Meta(ge=1)] | None = None
    log_syscalls: bool | None = None
    log_security: bool | None = None
    log_lifecycle: bool | None = None
    log_ipc: bool | None = None
    log_state: bool | None = None
    log_resource: bool | None = None
    log_network: bool | None = None
    log_world: bool | None = None


class SetAuditConfigReply(Reply, frozen=True, kw_only=True):
    """The whole configuration as it is now; an empty object in an error."""

    config: AuditConfig | dict[str, Any] = {}
