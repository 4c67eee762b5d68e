"""Bounds of the attempts that WHY makes."""

from __future__ import annotations

import msgspec

__all__ = ["AttemptLimits"]


class AttemptLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the attempts that WHY makes in throw-away sandboxes."""

    at_once: int = 4
    """Attempts at once. One more WHY gets `limit_exceeded`, unless it says `attempt: false`."""
    per_caller: int = 1
    """Attempts of one caller at once; likewise."""
    timeout: float = 15.0
    """Seconds for an attempt with its sandbox; then it is ended and WHY gets `timeout`."""
    connect_timeout: float = 5.0
    """Seconds for a host to be reached; then the attempt has failed with ETIMEDOUT."""
    output_bytes: int = 16 << 10
    """Bytes that an attempt may say; at more it is ended, and nothing of it counts."""
