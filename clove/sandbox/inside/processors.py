"""On how many processors an agent's programs run.

Programs make threads by the number of processors that they may run on (sched_getaffinity(2)): a JVM, numpy and
`make -j$(nproc)` on a machine with a hundred of them would make hundreds, which an agent's limit of processes and
threads refuses, and which its share of the processors has no use for. So each agent has a few, that lie side by side,
chosen by chance so that agents spread over the machine. It is no wall: a program may choose others.
"""

from __future__ import annotations

import os

__all__ = ["narrow", "window"]


def window(allowed: list[int], most: int, start: int) -> list[int]:
    """Neighbours among some processors, from one of them on; the first comes after the last. Pure."""
    if most >= len(allowed):
        return allowed
    at = start % len(allowed)
    return sorted((allowed + allowed)[at : at + most])


def narrow(most: int) -> None:
    """Run on so many processors at most from here on; 0: on all that there are."""
    allowed = sorted(os.sched_getaffinity(0))
    if 0 < most < len(allowed):
        start = int.from_bytes(os.urandom(4), "little")
        os.sched_setaffinity(0, window(allowed, most, start))
