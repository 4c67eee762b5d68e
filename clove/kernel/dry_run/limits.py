"""Bounds of the dry runs that WHY makes."""

from __future__ import annotations

import msgspec

__all__ = ["DryRunLimits"]


class DryRunLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the dry runs that WHY makes in throw-away sandboxes.

    A family is an agent with all that it spawned, at any remove. Families take turns, and
    in a family its agents. Operators have places of their own beside them.
    """

    at_once: int = 8
    """Dry runs at once that agents and guests asked for. One more waits for its turn."""
    per_family: int = 2
    """Of these, dry runs of one family. One more waits for its turn."""
    for_operators: int = 2
    """Dry runs at once that only operators can have, beside those. One more waits for its turn."""
    per_caller: int = 4
    """Dry runs of one caller, under way and waiting. One more WHY gets `limit_exceeded`,
    unless it says `attempt: false`."""
    turn_timeout: float = 20.0
    """Seconds to wait for a turn; then WHY gets `limit_exceeded`."""
    start_timeout: float = 10.0
    """Seconds to wait for an agent that is being started; then WHY gets `unavailable`."""
    timeout: float = 15.0
    """Seconds for a dry run with its sandbox; then it is ended and WHY gets `timeout`."""
    connect_timeout: float = 5.0
    """Seconds for a host to be reached; then the dry run has failed with ETIMEDOUT."""
    output_bytes: int = 16 << 10
    """Bytes that a dry run may print; at more it is ended, and nothing of it counts."""
