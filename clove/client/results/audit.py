"""What the calls of `clove.messages.audit` give. Made by tools/results.py: do not edit."""

from typing import Any, TypedDict

from clove.client.results.base import Reply

__all__ = ["AuditConfig", "AuditEntry", "GetAuditLogReply", "SetAuditConfigReply"]


class AuditEntry(TypedDict):
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
    details: Any


class AuditConfig(TypedDict):
    """What is recorded, and how much of it is kept."""

    max_entries: int
    log_syscalls: bool
    log_security: bool
    log_lifecycle: bool
    log_ipc: bool
    log_state: bool
    log_resource: bool
    log_network: bool
    log_world: bool


class GetAuditLogReply(Reply):
    """Entries, oldest first."""

    count: int
    entries: list[AuditEntry]


class SetAuditConfigReply(Reply):
    """The whole configuration as it is now; an empty object in an error."""

    config: AuditConfig
