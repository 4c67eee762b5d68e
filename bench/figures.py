"""What a bench finds out: figures with their bars, and curves. Pure.

A module of the bench yields these; C{python -m bench} prints and keeps them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Curve", "Figure", "Line", "Point", "Spread"]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    @ivar value: None: it could not be measured; the note says why.
    @ivar bar: at most this, or at least; None: told for comparison only.
    @ivar at_least: the bar is the least that it may be.
    @ivar low, high: the extremes of the samples whose median the value is; None: it is one sample.
    @ivar samples: how many there are; 0: not counted.
    @ivar disturbed: how many of them were taken while others used the machine.
    @ivar details: more numbers, by name with unit.
    """

    name: str
    value: float | None
    unit: str = "ms"
    bar: float | None = None
    note: str = ""
    at_least: bool = False
    low: float | None = None
    high: float | None = None
    samples: int = 0
    disturbed: int = 0
    details: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        samples: Sequence[float],
        unit: str = "",
        bar: float | None = None,
        **more: Any,
    ) -> Figure:
        """The median of at least one sample."""
        spread = {"low": min(samples), "high": max(samples), "samples": len(samples)}
        return cls(name, statistics.median(samples), unit, bar, **spread, **more)  # type: ignore[arg-type]

    @property
    def holds(self) -> bool | None:
        """Whether the bar is kept; None: there is none, or no value."""
        if self.value is None or self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "holds": self.holds}


@dataclass(frozen=True)
class Point:
    """One place of a line: the median of the samples there, and their extremes."""

    x: float
    y: float
    low: float
    high: float

    @classmethod
    def of(cls, x: float, samples: Sequence[float]) -> Point:
        """Of at least one sample."""
        return cls(x, statistics.median(samples), min(samples), max(samples))


@dataclass(frozen=True)
class Line:
    """What one server, or one setting, does."""

    name: str
    points: list[Point]


@dataclass(frozen=True)
class Curve:
    """A picture.

    @ivar name: of its file, without suffix.
    @ivar x, y: what the axes show, with units.
    @ivar log_x, log_y: whether an axis has powers of ten at equal distances.
    """

    name: str
    title: str
    x: str
    y: str
    lines: list[Line]
    log_x: bool = False
    log_y: bool = False

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


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
