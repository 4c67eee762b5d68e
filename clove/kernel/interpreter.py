"""Settings of the interpreter in which the kernel runs, so that its one loop waits little."""

from __future__ import annotations

import gc
import sys
from typing import Final

__all__ = ["COLLECTED", "SWITCH_SECONDS", "settle_interpreter"]

SWITCH_SECONDS = 0.0005
"""How long a worker thread keeps the interpreter while the reactor's thread asks for it (Python's
own is ten times as long). Each read and write of a socket gives it up."""
COLLECTED: Final = (5000, 10, 40)
"""New objects after which the collector of cycles goes over these; and after how many times it goes
over older ones, and over all. Peers can have thousands of objects made and kept at once: going over
all that 15,000 requests in work are made of takes 150 ms, and finds next to nothing."""


def settle_interpreter() -> None:
    """To be called once, when everything is imported that will be.

    What has been made until now stays, and the collector of cycles need not walk through it: a full
    collection took 60 ms of the reactor's time, most of it for modules.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTED)
    gc.collect()
    gc.freeze()
