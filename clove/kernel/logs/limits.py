"""Bounds of agents' output."""

from __future__ import annotations

import msgspec

__all__ = ["LogLimits"]


class LogLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for each agent's output."""

    lines: int = 4096
    """Lines held in memory; the oldest go first and count as `lost`."""
    held: int = 256 << 10
    """Bytes held in memory, as the agent wrote them; the oldest go first and count as `lost`. For
    one who is attached nothing is lost: the agent's output is not read while more waits."""
    line: int = 8 << 10
    """Bytes of one line of LOGS; a longer one is cut into several, which say `partial`."""
    waiting: int = 8
    """Requests of OUTPUT and LOGS that may wait for more of one agent's output, since all are
    answered when there is some; one more of OUTPUT gets `limit_exceeded`."""
    attach_within: float = 10.0
    """Seconds for which an agent's output is kept for an ATTACH, where SPAWN said `attach`."""
    file: int = 4 << 20
    """Bytes of the log file; then it is renamed to `.1` and begun anew."""
    files: int = 2
    """Log files kept for a name, the current one included."""
    names: int = 2048
    """Names of ended agents whose log files are kept, of which one family may have its share
    (`shares.family`); then the oldest files go, of the family that has most."""
    all_files: int = 1 << 30
    """Bytes of the log files of all ended agents, likewise (`shares.family_memory`)."""
    unwritten: int = 1 << 20
    """Bytes waiting for the disk; while more wait, the agent's output is not read, or, where
    something is attached, the oldest of them are left out of the file."""
    all_unwritten: int = 128 << 20
    """Bytes of all agents waiting for the disk; while more wait, or more than a family's share
    of them, the same holds of an agent with more than 64 KiB among them."""
    pumps: int = 4
    """Threads that pass on output of more than 1 MiB in 0.05 s to the one who is attached, of which one
    family may have its share; what gets none is passed on by the reactor, which is slower."""
