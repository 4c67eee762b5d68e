"""The audit log in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, count
from typing import TYPE_CHECKING, Final

import msgspec
from zope.interface import implementer

from clove.errors import LimitExceeded
from clove.kernel.answers import Answer
from clove.kernel.audit.entries import (
    MAX_FIELDS,
    DoneKind,
    Entry,
    Stored,
    clean,
    details_json,
    shown,
)
from clove.kernel.audit.interface import IAuditLog, RecordDone
from clove.kernel.audit.limits import AuditLimits
from clove.kernel.audit.ring import Recorder, Ring, shown_fields
from clove.kernel.audit.search import Wanted, search
from clove.kernel.clocks import Wall
from clove.kernel.pieces import InTurns, Pieces, at_once
from clove.messages.audit import AuditConfig, AuditEntry, SetAuditConfigRequest

if TYPE_CHECKING:
    from clove.kernel.audit.file import SecurityFile

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
SHOWN: Final = 16
"""Entries that are made JSON in one piece of the work."""


@implementer(IAuditLog)
class AuditLog:
    """See L{IAuditLog}.

    What was refused, and the lives of agents, have rings of their own, which nothing else
    can wash out, and go to a file. The rest is lost with the kernel.
    """

    def __init__(
        self,
        wall: Wall,
        limits: AuditLimits | None = None,
        file: SecurityFile | None = None,
        new_id: Callable[[], int] | None = None,
        in_turns: InTurns = at_once,
    ) -> None:
        """
        @param new_id: gives ids that ascend; None: from 1 on.
        @param in_turns: looks for entries.
        """
        self._seconds = wall
        self._in_turns = in_turns
        self._limits = limits = limits or AuditLimits()
        self._file = file
        self._new_id = count(1).__next__ if new_id is None else new_id
        self._security = Ring(limits.security_entries, limits.security_bytes)
        self._lifecycle = Ring(limits.lifecycle_entries, limits.lifecycle_bytes)
        self._ring = Ring(limits.max_entries, limits.max_bytes)
        self._rings_of = self._choose_rings()
        self.config = AuditConfig(max_entries=self._limits.max_entries)
        self._on: dict[str, bool] = {}  # one for good: recorders look into it
        self._apply(self.config)

    def record(
        self,
        category: str,
        event_type: str,
        agent_id: int,
        agent_name: str,
        success: bool,
        details: Mapping[str, object],
        family: int = 0,
    ) -> None:
        """See L{IAuditLog.record}."""
        if self._on[category]:
            self._add(category, event_type, agent_id, agent_name, success, details, family)

    def recorder(self, category: str, event_type: str, fields: tuple[str, ...]) -> RecordDone:
        """See L{IAuditLog.recorder}."""

        def record_whole(agent_id: int, agent_name: str, request: object, family: int) -> None:
            if self._on[category]:
                details = shown_fields(request, fields)
                self._add(category, event_type, agent_id, agent_name, True, details, family)

        ring, kind = self._rings_of[True][category]
        if kind or len(fields) > MAX_FIELDS:
            return record_whole
        done = DoneKind(category, event_type, fields, self._limits)
        return Recorder(done, self._on, self._new_id, self._seconds, ring, record_whole).record

    def query(
        self,
        category: str | None = None,
        agent_id: int | None = None,
        since_id: int | None = None,
        limit: int = 100,
        family: int = 0,
    ) -> Answer[list[AuditEntry]]:
        """See L{IAuditLog.query}."""
        families = chain.from_iterable(ring.families for ring in self._rings(category))
        most = min(limit, self._limits.max_batch)
        work = _found(search(families, since_id, _wanted(category, agent_id), most))
        return self._in_turns(work, family)

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

    def stop(self) -> Answer[None]:
        """See L{IAuditLog.stop}."""
        return None if self._file is None else self._file.close()

    def _rings(self, category: str | None) -> tuple[Ring, ...]:
        """Where entries of a category may be."""
        if category is None:
            return self._security, self._lifecycle, self._ring
        if category == "NETWORK":
            return self._security, self._ring
        return (self._rings_of[True][category][0],)

    def _choose_rings(self) -> dict[bool, dict[str, tuple[Ring, str]]]:
        """By success and category: where an entry goes, and its kind for the file, or ""."""
        usual = {
            **dict.fromkeys(SWITCHES, (self._ring, "")),
            "SECURITY": (self._security, "security"),
            "AGENT_LIFECYCLE": (self._lifecycle, "lifecycle"),
        }
        return {True: usual, False: {**usual, "NETWORK": (self._security, "security")}}

    def _apply(self, config: AuditConfig) -> None:
        self.config = config
        self._on.update({category: getattr(config, field) for category, field in SWITCHES.items()})
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
        family: int = 0,
    ) -> None:
        limits = self._limits
        entry = Stored(
            self._new_id(),
            self._seconds(),
            category,
            clean(event_type, limits.max_text),
            agent_id,
            clean(agent_name, limits.max_text),
            success,
            details_json(details, limits.max_details_bytes, limits.max_text),
        )
        ring, kind = self._rings_of[success][category]
        ring.add(entry, family)
        if kind and self._file is not None:
            self._file.add(entry, family, kind)


def _found(search: Pieces[list[Entry]]) -> Pieces[list[AuditEntry]]:
    """What a search finds, as it is shown."""
    entries = yield from search
    found = []
    for number, entry in enumerate(entries, 1):
        found.append(shown(entry))
        if number % SHOWN == 0:
            yield
    return found


def _wanted(category: str | None, agent_id: int | None) -> Wanted:
    if agent_id is None:
        return None if category is None else lambda entry: entry.category == category
    if category is None:
        return lambda entry: entry.agent_id == agent_id
    return lambda entry: entry.agent_id == agent_id and entry.category == category
