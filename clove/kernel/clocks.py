"""The kernel's two clocks.

The monotonic one (`clock`, which is the reactor) measures: time-outs, windows, idle and
running times, leases, expiry. The wall clock (`wall`) dates what people read: events,
audit entries, lines of logs. An administrator or NTP may step the second one at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Wall", "make_monotonic"]

Wall = Callable[[], float]
"""Seconds since the epoch, by the host's clock of now."""


def make_monotonic(reactor: Any) -> None:
    """Have a reactor measure by the monotonic clock; Twisted's measure by the wall's.

    Its timers, too: they are kept as the second at which they are due. Nothing must
    wait in it yet.
    """
    reactor.seconds = time.monotonic
