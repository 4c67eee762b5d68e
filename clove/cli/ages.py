"""How long something is ago, and how long it is until it comes, by this machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime

from clove.cli.text import age, duration

__all__ = ["passed", "until"]


def passed(stamp: str | None) -> str:
    """For how long it is so since an ISO 8601 time: `2h 5m`; `-` for none."""
    return age(max(0.0, _seconds_since(stamp)) * 1000) if stamp else "-"


def until(stamp: str) -> str:
    """How long it is until an ISO 8601 time; "" if that has gone by."""
    left = -_seconds_since(stamp)
    return age(left * 1000) if left > 0 else ""


def _seconds_since(stamp: str) -> float:
    return duration(stamp, datetime.now(UTC)).total_seconds()
