"""Looking at a relay again and again, until something is so or the time is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from clove.errors import CloveError, ConnectionLost, RateLimited, TimedOut

__all__ = ["look_until"]

T = TypeVar("T")

_PASSING: Final = (ConnectionLost, TimedOut, RateLimited)
"""What may be otherwise at the next look. An error of these is that of the relay, not of a machine."""


def look_until(
    look: Callable[[], T | None],
    late: Callable[[], CloveError],
    *,
    seconds: float,
    every: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> T:
    """What a look gives that is not None. A relay that is away for a moment is looked at again.

    @param late: makes the error for a time that is over; a relay that is away then says so itself.
    @param every: seconds between two looks.
    """
    until = clock() + seconds
    while True:
        try:
            found = look()
        except _PASSING:
            if clock() >= until:
                raise
            found = None
        if found is not None:
            return found
        if clock() >= until:
            raise late()
        sleep(every)
