"""What every main program does, done once for nothing."""

from __future__ import annotations

__all__ = ["rehearse"]


def rehearse() -> None:
    """Touch."""
