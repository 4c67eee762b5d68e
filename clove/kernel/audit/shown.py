"""An entry as it is shown. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from clove.kernel.audit.entries import Entry
from clove.messages.audit import AuditEntry

__all__ = ["shown"]


def shown(entry: Entry) -> AuditEntry:
    """For GET_AUDIT_LOG, and the file."""
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")
    return AuditEntry(
        id=entry.id,
        timestamp=at.replace("+00:00", "Z"),
        category=entry.category,
        event_type=entry.event_type,
        agent_id=entry.agent_id,
        agent_name=entry.agent_name,
        success=entry.success,
        details=msgspec.Raw(entry.details),
    )
