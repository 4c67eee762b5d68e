"""Limits of READ, WRITE and EXEC."""

from __future__ import annotations

import msgspec

from clove.framing import MAX_REPLY

__all__ = ["ExecLimits", "FileLimits"]


class FileLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of READ, WRITE, LISTDIR, REMOVE and WATCH."""

    read_bytes: int = MAX_REPLY
    """Bytes of a READ's reply. More: LimitExceeded, with a hint that names offset and limit."""
    listed: int = 50_000
    """Names of a directory that a LISTDIR looks at; of more it says `truncated`."""
    removed: int = 1_000_000
    """Names that one REMOVE removes; with more, LimitExceeded, and the rest stays."""
    watches: int = 128
    """Directories that all agents and operators watch at the same time (WATCH), of which one
    family may have its share; one more: LimitExceeded."""
    removed_at_once: int = 2_000
    """Names that it removes before other requests of that agent have their turn."""


class ExecLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of EXEC."""

    per_agent: int = 16
    """Commands of one agent at once. One more: LimitExceeded."""
    total: int = 128
    """Commands of all agents at once. One more: LimitExceeded."""
    output_bytes: int = 1 << 20
    """Bytes kept (and streamed) of stdout, and as many of stderr. The rest is read, so that
    the command goes on, but thrown away; the reply says `truncated`."""
    flood_bytes: int = 64 << 20
    """Bytes of output in all. At this the command is killed, reason `output`."""
    command_bytes: int = 128 * 1024 - 1
    """Bytes in one word of the command line (Linux's MAX_ARG_STRLEN). More: LimitExceeded."""
    env_count: int = 256
    """Variables in `env`. More: LimitExceeded."""
    env_bytes: int = 128 * 1024
    """Bytes in `env`. More: LimitExceeded."""
    kill_wait: float = 2.0
    """Seconds to wait for a killed command to be gone. After that the reply is sent anyway."""
