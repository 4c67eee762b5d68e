"""When Python's collector of cycles runs in a daemon, so that its one loop waits little."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

__all__ = ["COLLECTED", "settle_collector", "without_collections"]

COLLECTED: Final = (700, 10, 300)
"""New objects after which the collector of cycles goes over these; and after how many times it goes
over older ones, and over all. Few at a time, since requests that fail leave cycles, and freeing those of
5000 objects takes 7 ms, at worst 50; all of them seldom, since peers can have thousands of objects made
and kept at once: going over all that 15,000 requests in work are made of takes 150 ms, and finds next to
nothing."""


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """For the imports of a daemon's start: what they make stays, so looking for cycles in it finds none.

    That took a tenth of the start's processor time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle_collector(rounds: int = COLLECTED[2]) -> None:
    """To be called once, when everything is imported that a waiting daemon needs.

    @param rounds: the last of L{COLLECTED}; fewer where connections that end leave cycles that are old by then.

    What has been made until now stays, and the collector need not walk through it: a full
    collection took 60 ms of the reactor's time, most of it for modules. None is made before: it would take
    25 ms of the start, and find 2,000 objects in cycles, which make no page free.
    """
    gc.set_threshold(*COLLECTED[:2], rounds)
    gc.freeze()
