"""The restart policy of agents. Pure."""

from __future__ import annotations

import functools
from typing import Final, Literal

from clove.supervisor import RestartPolicy

__all__ = ["LONGEST_DELAY", "MEMORY", "restart_policy"]

LONGEST_DELAY: Final = 60.0
"""Seconds before a restart, at most."""

MEMORY: Final = 300.0
"""Seconds for which a restart makes the next delay longer, however short the window is: the one that spawns
an agent chooses when it is given up, not how often it may be started."""


@functools.lru_cache(maxsize=64)
def restart_policy(
    when: Literal["never", "on-failure", "always"] = "never",
    max_restarts: int = 5,
    window: float = 300.0,
) -> RestartPolicy:
    """An agent's, as its SPAWN asks for it.

    @param max_restarts: at the next failure within the window it is given up (escalated).
    @param window: seconds that a restart counts for.
    """
    return RestartPolicy(
        when=when,
        longest_delay=LONGEST_DELAY,
        memory=MEMORY,
        max_restarts=max_restarts,
        window=window,
    )
