"""When something that ended is started again, after which delay, and when no more. Pure.

A program that ends as soon as it is started must not keep the host busy with its starts. So each
restart makes the next delay twice as long, until the earlier ones are forgotten: after a time,
or when a run has served for long enough. The service of the model, the zygote and the agents
differ in the numbers alone (L{RestartPolicy}).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

__all__ = ["RestartPolicy", "Supervisor", "Verdict"]

MOST_DOUBLINGS: Final = 32
"""Of a delay; by then it is the longest that the policy has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """What decides about restarts.

    @ivar when: after which ends: none, those that are failures, or all.
    @ivar first_delay: seconds; each restart that is remembered doubles it.
    @ivar longest_delay: seconds.
    @ivar memory: seconds for which a restart is remembered; at least C{window}.
    @ivar healthy_after: seconds of service after which a run makes earlier restarts forgotten.
    @ivar max_restarts: restarts within C{window}; at the next end it is given up. None: no bound.
    @ivar window: seconds.
    @ivar most_false_starts: starts in a row that came to no service before it counts as broken;
        None: any number.
    """

    when: Literal["never", "on-failure", "always"] = "always"
    first_delay: float = 1.0
    longest_delay: float = 60.0
    memory: float = inf
    healthy_after: float = inf
    max_restarts: int | None = None
    window: float = 0.0
    most_false_starts: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do after an end.

    @ivar action: start it again, leave it, or give it up because it ended too often (escalate).
    @ivar delay: seconds to wait before a restart.
    """

    action: Literal["stop", "restart", "escalate"]
    delay: float = 0.0


class Supervisor:
    """Decides about the restarts of one thing.

    Tell it when what was started serves (L{ready}) and when it ended (L{ended}).

    @ivar policy: its numbers.
    @ivar restarts: how many there were.
    """

    __slots__ = ("_false_starts", "_recent", "policy", "restarts")

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self.restarts = 0
        most = max(policy.max_restarts or 0, MOST_DOUBLINGS)
        self._recent: deque[float] = deque(maxlen=most)
        self._false_starts = 0

    @property
    def broken(self) -> bool:
        """Its last starts came to no service, so that the next one hardly will."""
        most = self.policy.most_false_starts
        return most is not None and self._false_starts >= most

    def ready(self) -> None:
        """What was started serves."""
        self._false_starts = 0

    def ended(self, now: float, *, failed: bool = True, served: float | None = None) -> Verdict:
        """Decide what follows, by itself and not by order, after an end.

        @param now: seconds, monotonic.
        @param failed: it was no success.
        @param served: seconds since it got ready; None: it never did, or does not tell.
        """
        policy, recent = self.policy, self._recent
        if served is None:
            self._false_starts += 1
        elif served >= policy.healthy_after:
            recent.clear()
        if policy.when == "never" or (policy.when == "on-failure" and not failed):
            return Verdict("stop")
        while recent and now - recent[0] > max(policy.window, policy.memory):
            recent.popleft()
        if policy.max_restarts is not None and len(recent) >= policy.max_restarts:
            within_window = sum(now - at <= policy.window for at in recent)
            if within_window >= policy.max_restarts:
                return Verdict("escalate")
        doublings = min(len(recent), MOST_DOUBLINGS)
        delay = min(policy.longest_delay, policy.first_delay * 2.0**doublings)
        recent.append(now)
        self.restarts += 1
        return Verdict("restart", delay)
