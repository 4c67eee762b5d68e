"""Figures with the bars that they are measured against. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Figure", "Spread"]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    @ivar value: None: it could not be measured; the note says why.
    @ivar bar: at most this; None: told for comparison only.
    """

    name: str
    value: float | None
    unit: str = "ms"
    bar: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the bar is kept; None: there is none, or no value."""
        return None if self.value is None or self.bar is None else self.value <= self.bar

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "holds": self.holds}


@dataclass(frozen=True)
class Spread:
    """Some measurements: median, 99th percentile (the nearest rank), longest."""

    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one measurement."""
        ordered = sorted(values)
        return cls(
            statistics.median(ordered), ordered[math.ceil(len(ordered) * 0.99) - 1], ordered[-1]
        )

    def figures(self, name: str, unit: str = "ms", bar: float | None = None) -> list[Figure]:
        """Three lines; the bar is the median's."""
        return [
            Figure(f"{name}, p50", self.p50, unit, bar),
            Figure(f"{name}, p99", self.p99, unit),
            Figure(f"{name}, max", self.most, unit),
        ]
