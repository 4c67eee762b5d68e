"""An axis of a picture: where a value lies, and which values are written beside it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Axis", "short"]

STEPS = (1.0, 2.0, 5.0, 10.0)
TICKS = 6
"""Values that are written, about."""


@dataclass(frozen=True)
class Axis:
    """From one end to the other.

    @ivar first, last: the values at its ends.
    @ivar begin, end: where the ends lie, in the picture's units.
    @ivar log: whether equal distances are equal factors.
    """

    first: float
    last: float
    begin: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, log: bool) -> Axis:
        """One that shows all of these; from 0 on unless it is logarithmic."""
        most = max(values)
        if not log:
            step = _step(most)
            return cls(0.0, math.ceil(most / step - 1e-9) * step or 1.0, begin, end)
        least = min(value for value in values if value > 0)
        return cls(_rounded(least, up=False), _rounded(most, up=True), begin, end, True)

    def place(self, value: float) -> float:
        """Where a value lies."""
        first, last = self.first, self.last
        if self.log:
            value, first, last = (math.log10(max(one, self.first)) for one in (value, first, last))
        return self.begin + (value - first) / (last - first) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """The values that are written."""
        if not self.log:
            step = _step(self.last)
            return [at * step for at in range(round(self.last / step) + 1)]
        decades = math.log10(self.last / self.first)
        steps = (1.0,) if decades > 4 else (1.0, 3.0) if decades > 2 else STEPS[:3]
        low, high = math.floor(math.log10(self.first)), math.ceil(math.log10(self.last))
        all_of_them = [step * 10.0**power for power in range(low, high + 1) for step in steps]
        return [one for one in all_of_them if self.first * 0.999 <= one <= self.last * 1.001]


def _step(most: float) -> float:
    """Between two values that are written."""
    power = 10.0 ** math.floor(math.log10(most / TICKS)) if most > 0 else 1.0
    return next(step * power for step in STEPS if step * power * TICKS >= most * 0.999)


def _rounded(value: float, *, up: bool) -> float:
    """The next of 1, 2, 5, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    ordered = [step * power for step in STEPS]
    if up:
        return next(one for one in ordered if one >= value * 0.999)
    return max(one for one in ordered if one <= value * 1.001)


def short(value: float) -> str:
    """A number as an axis has it: 20 k, 1.5 M."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
