"""What an audit log has, where it answers at once."""

from __future__ import annotations

from typing import Any

from clove.kernel.audit import AuditLog
from clove.messages.audit import AuditEntry

__all__ = ["queried"]


def queried(log: AuditLog, *args: Any, **fields: Any) -> list[AuditEntry]:
    """As C{log.query}."""
    found = log.query(*args, **fields)
    assert isinstance(found, list)
    return found
