"""Bounds of the audit log."""

from __future__ import annotations

import msgspec

__all__ = ["AuditLimits"]


class AuditLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log is a ring: it never refuses an entry, it forgets the oldest."""

    max_entries: int = 10_000
    """Entries kept at the start; SET_AUDIT_CONFIG changes it. The oldest are forgotten."""
    ceiling: int = 100_000
    """The most that SET_AUDIT_CONFIG may ask to keep; more is refused."""
    max_bytes: int = 32 << 20
    """Bytes of entries kept; past it the oldest are forgotten, however few they are."""
    max_details_bytes: int = 4096
    """Bytes of one entry's details as JSON; the last fields are left out, and
    `truncated` says so."""
    max_text: int = 512
    """Characters of one text in the details; a longer one is cut."""
    max_batch: int = 1000
    """Entries in the reply to one GET_AUDIT_LOG; a larger `limit` is cut to this."""
