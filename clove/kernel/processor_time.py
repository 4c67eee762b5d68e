"""The kernel's part of the processors, and how it is divided between its threads.

One thread, the reactor's, answers everybody; the others do what would hold it up. All of them run soon
after they wake (L{clove.sandbox.time_slice}). The workers come after the reactor's thread, by their
niceness, where the session of the kernel comes before those of agents (L{prefer_own_session}). Elsewhere
they do not: a worker may have the interpreter, and must not wait behind agents with it, since the reactor's
thread waits for that. Linux divides what a session or a cgroup has between the processors by what runs on
each, so a nice worker that is alone on one has little there.
"""

from __future__ import annotations

import os
from typing import Final

from clove.sandbox.cgroup.sites import has_processor_weight
from clove.sandbox.inside.priority import is_preferred, prefer_own_session
from clove.sandbox.time_slice import shorten_time_slice

__all__ = ["WORKERS_NICE", "prefer_kernel", "yield_to_reactor"]

WORKERS_NICE: Final = 10
"""Niceness of workers: a tenth of the reactor's part where both would run on one processor."""


def prefer_kernel() -> None:
    """To be called in the reactor's thread, before others are started."""
    prefer_own_session()
    shorten_time_slice()


def yield_to_reactor() -> None:
    """To be called in a worker. Only the thread is changed."""
    if is_preferred() and not has_processor_weight():
        nice = os.getpriority(os.PRIO_PROCESS, 0)  # 0: the calling thread
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, WORKERS_NICE))
    shorten_time_slice()
