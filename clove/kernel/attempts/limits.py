"""Bounds of the attempts that WHY makes."""

from __future__ import annotations

import msgspec

__all__ = ["AttemptLimits"]


class AttemptLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the attempts that WHY makes in throw-away sandboxes.

    A family is an agent with all that it spawned, at any remove. Families take turns, and
    in a family its agents. Operators have places of their own beside them.
    """

    at_once: int = 8
    """Attempts at once that agents and guests asked for. One more waits for its turn."""
    per_family: int = 2
    """Of these, attempts of one family. One more waits for its turn."""
    for_operators: int = 2
    """Attempts at once that only operators can have, beside those. One more waits for its turn."""
    per_caller: int = 4
    """Attempts of one caller, under way and waiting. One more WHY gets `limit_exceeded`,
    unless it says `attempt: false`."""
    turn_timeout: float = 20.0
    """Seconds to wait for a turn; then WHY gets `limit_exceeded`."""
    start_timeout: float = 10.0
    """Seconds to wait for an agent that is being started; then WHY gets `unavailable`."""
    timeout: float = 15.0
    """Seconds for an attempt with its sandbox; then it is ended and WHY gets `timeout`."""
    connect_timeout: float = 5.0
    """Seconds for a host to be reached; then the attempt has failed with ETIMEDOUT."""
    output_bytes: int = 16 << 10
    """Bytes that an attempt may say; at more it is ended, and nothing of it counts."""
