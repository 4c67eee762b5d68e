"""When an ended agent is started again, and when it is given up. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["MAX_BACKOFF", "Restart", "RestartPolicy", "Verdict"]

MAX_BACKOFF = 60.0
"""Seconds: the longest wait before a restart."""

BACKOFF_MEMORY = 300.0
"""Seconds for which a restart makes the next wait longer, however short the window is."""

RestartPolicy = Literal["never", "on-failure", "always"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows an exit.

    @ivar action: "stop", "restart" or "escalate".
    @ivar delay: seconds to wait before a restart.
    """

    action: Literal["stop", "restart", "escalate"]
    delay: float = 0.0


@dataclass(slots=True)
class Restart:
    """One agent's restarts.

    The wait is 1, 2, 4, 8 … seconds, at most L{MAX_BACKOFF}, by the number of restarts within
    L{BACKOFF_MEMORY}, or within the window if that is longer: who spawns an agent chooses when
    it is given up, not how often it may be started. More than `max_restarts` within the window
    escalate.

    @ivar window: seconds that a restart counts for.
    """

    policy: RestartPolicy = "never"
    max_restarts: int = 5
    window: float = 300.0
    count: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def after_exit(self, failed: bool, now: float) -> Verdict:
        """Decide after the agent's process ended by itself.

        @param failed: it ended with a code other than 0, or by a signal.
        @param now: seconds, monotonic.
        """
        if self.policy == "never" or (self.policy == "on-failure" and not failed):
            return Verdict("stop")
        while self._recent and now - self._recent[0] > max(self.window, BACKOFF_MEMORY):
            self._recent.popleft()
        if sum(now - at <= self.window for at in self._recent) >= self.max_restarts:
            return Verdict("escalate")
        delay = min(MAX_BACKOFF, 2.0 ** min(len(self._recent), 10))
        self._recent.append(now)
        self.count += 1
        return Verdict("restart", delay)
