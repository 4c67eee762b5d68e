"""The five permission levels, from everything to nothing but thinking."""

from __future__ import annotations

import enum

__all__ = ["Level"]


class Level(enum.StrEnum):
    """A permission level, by its name on the wire (`docs/wire.md`)."""

    UNRESTRICTED = "unrestricted"
    STANDARD = "standard"
    SANDBOXED = "sandboxed"
    READONLY = "readonly"
    MINIMAL = "minimal"

    @property
    def rank(self) -> int:
        """0 for the least, 4 for unrestricted."""
        return _RANKS[self]


_RANKS = {
    Level.MINIMAL: 0,
    Level.READONLY: 1,
    Level.SANDBOXED: 2,
    Level.STANDARD: 3,
    Level.UNRESTRICTED: 4,
}
