"""The audit log in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count, islice
from typing import Final

import msgspec
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from clove.errors import LimitExceeded
from clove.kernel.audit.details import clean, details_json
from clove.kernel.audit.interface import IAuditLog
from clove.kernel.audit.limits import AuditLimits
from clove.kernel.audit.ring import Ring, Stored
from clove.messages.audit import AuditConfig, AuditEntry, SetAuditConfigRequest

__all__ = ["AuditLog"]

SWITCHES: Final = {
    "SECURITY": "log_security",
    "AGENT_LIFECYCLE": "log_lifecycle",
    "IPC": "log_ipc",
    "STATE_STORE": "log_state",
    "RESOURCE": "log_resource",
    "SYSCALL": "log_syscalls",
    "NETWORK": "log_network",
    "WORLD": "log_world",
}
"""Category to the field of the configuration that switches it."""


@implementer(IAuditLog)
class AuditLog:
    """See L{IAuditLog}. All of it is lost with the kernel."""

    def __init__(self, clock: IReactorTime, limits: AuditLimits | None = None) -> None:
        self._seconds = clock.seconds
        self._limits = limits or AuditLimits()
        self._ids = count(1)
        self._ring = Ring(self._limits.max_entries, self._limits.max_bytes)
        self.config = AuditConfig(max_entries=self._limits.max_entries)
        self._on: dict[str, bool] = {}
        self._apply(self.config)

    def record(
        self,
        category: str,
        event_type: str,
        agent_id: int,
        agent_name: str,
        success: bool,
        details: Mapping[str, object],
    ) -> None:
        """See L{IAuditLog.record}."""
        if self._on[category]:
            self._add(category, event_type, agent_id, agent_name, success, details)

    def query(
        self,
        category: str | None = None,
        agent_id: int | None = None,
        since_id: int | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """See L{IAuditLog.query}."""
        entries = self._ring.newest() if since_id is None else self._ring.after(since_id)
        chosen = (
            entry
            for entry in entries
            if (category is None or entry.category == category)
            and (agent_id is None or entry.agent_id == agent_id)
        )
        found = [_shown(entry) for entry in islice(chosen, min(limit, self._limits.max_batch))]
        return found[::-1] if since_id is None else found

    def configure(
        self, changes: SetAuditConfigRequest, agent_id: int = 0, agent_name: str = ""
    ) -> AuditConfig:
        """See L{IAuditLog.configure}."""
        fields = {
            name: value
            for name, value in msgspec.structs.asdict(changes).items()
            if value is not None
        }
        if fields.get("max_entries", 0) > self._limits.ceiling:
            raise LimitExceeded(f"the audit log keeps at most {self._limits.ceiling} entries")
        if fields:
            self._add("SECURITY", "AUDIT_CONFIG_CHANGED", agent_id, agent_name, True, fields)
            self._apply(msgspec.structs.replace(self.config, **fields))
        return self.config

    def _apply(self, config: AuditConfig) -> None:
        self.config = config
        self._on = {category: getattr(config, field) for category, field in SWITCHES.items()}
        self._ring.max_entries = config.max_entries
        self._ring.trim()

    def _add(
        self,
        category: str,
        event_type: str,
        agent_id: int,
        agent_name: str,
        success: bool,
        details: Mapping[str, object],
    ) -> None:
        limits = self._limits
        self._ring.add(
            Stored(
                next(self._ids),
                self._seconds(),
                category,
                clean(event_type, limits.max_text),
                agent_id,
                clean(agent_name, limits.max_text),
                success,
                details_json(details, limits.max_details_bytes, limits.max_text),
            )
        )


def _shown(entry: Stored) -> AuditEntry:
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
