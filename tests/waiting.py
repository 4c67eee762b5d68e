"""Waiting for what another process does, for tests that have no reactor to be told by."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["PATIENCE", "until"]

PATIENCE = 90.0 if "CLOVE_GUEST" in os.environ else 30.0
"""Seconds that anything may take, however busy the machine is: no measure."""
SHORTEST, LONGEST = 0.005, 0.05
"""Seconds between two looks: a tenth of what was waited for already."""
T = TypeVar("T")


def until(look: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """What a function gives as soon as that is true.

    @param what: what never happened, if it does not.
    @param patience: seconds, for what takes long on an idle machine too.
    """
    begin = time.monotonic()
    while not (found := look()):
        waited = time.monotonic() - begin
        assert waited < patience, f"never happened: {what}"
        time.sleep(min(max(SHORTEST, waited / 10), LONGEST))  # a look may cost a request
    return found
