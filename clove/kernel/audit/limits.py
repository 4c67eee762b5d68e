"""Bounds of the audit log."""

from __future__ import annotations

import msgspec

__all__ = ["AuditLimits"]


class AuditLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log never refuses an entry, it forgets the oldest: of each kind those of the family
    that has the most. Refusals and the lives of agents are kept apart from the rest, and
    written to `audit/security.log` in the state directory.
    """

    max_entries: int = 10_000
    """Entries kept at the start, refusals and the lives of agents not counted;
    SET_AUDIT_CONFIG changes it. The oldest are forgotten."""
    ceiling: int = 100_000
    """The most that SET_AUDIT_CONFIG may ask to keep; more is refused."""
    max_bytes: int = 32 << 20
    """Bytes of these entries; past it the oldest are forgotten, however few they are."""
    security_entries: int = 10_000
    """Entries of the category SECURITY and refused connections that are kept."""
    security_bytes: int = 16 << 20
    """Bytes of these."""
    lifecycle_entries: int = 10_000
    """Entries of the category AGENT_LIFECYCLE that are kept."""
    lifecycle_bytes: int = 16 << 20
    """Bytes of these."""
    file: int = 4 << 20
    """Bytes of the file; then it is renamed to `.1` and begun anew."""
    files: int = 4
    """Files kept, the current one included."""
    file_entries: int = 100
    """Different entries of one family, refusals and lives each, that are written to the file
    in `file_period`; the others, and those that repeat one, are counted, and a line
    ENTRIES_COUNTED tells of them once a minute."""
    file_period: float = 3600.0
    """Seconds."""
    file_unwritten: int = 1 << 20
    """Bytes of entries that wait for the disk, or 50 ms for others to be written with them; those
    past it, and those that cannot be written, are counted, and a line LINES_LOST tells how many."""
    max_details_bytes: int = 4096
    """Bytes of one entry's details as JSON; the last fields are left out, and
    `truncated` says so."""
    max_text: int = 512
    """Characters of one text in the details; a longer one is cut."""
    max_batch: int = 1000
    """Entries in the reply to one GET_AUDIT_LOG; a larger `limit` is cut to this."""
