"""Hands an event to many subscribers in pieces, so that it does not hold up the reactor's loop."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from clove.kernel.events.subscriber import Happening, Subscriber

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

__all__ = ["AT_ONCE", "InTimeOf", "Spread"]

AT_ONCE: Final = 64
"""Subscribers that an event is handed to before other requests are served: to push it to one takes 4 us."""

Receivers = deque[tuple[int, Subscriber]]
"""By agent id."""
InTimeOf = Callable[[int, Callable[[], object]], object]
"""Calls something, as time of the family of the principal with this id."""


class Spread:
    """What is still to be handed to subscribers, each of which gets its events in their order.

    @param hand: hands an event to a subscriber, if it still wants it.
    @param most: events times subscribers that may wait; more are handed over at once, in the time of the request that publishes.
    @param in_time_of: charges those that have caused the events.
    """

    def __init__(
        self,
        clock: IReactorTime,
        hand: Callable[[int, Subscriber, Happening], object],
        most: int,
        in_time_of: InTimeOf,
    ) -> None:
        self._clock = clock
        self._hand = hand
        self._most = most
        self._in_time_of = in_time_of
        self._waiting: deque[tuple[Happening, Receivers]] = deque()
        self._count = 0
        self._is_called = False

    def add(self, event: Happening, receivers: Receivers) -> None:
        """Hand an event over: at once, if it is for few and nothing waits."""
        if not receivers:
            return
        self._waiting.append((event, receivers))
        self._count += len(receivers)
        self._in_time_of(event.source_id, self._hand_some)
        while self._count > self._most:
            self._in_time_of(event.source_id, self._hand_some)
        if self._waiting and not self._is_called:
            self._is_called = True
            self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._is_called = False
        left = AT_ONCE
        while left and self._waiting:
            event, receivers = self._waiting[0]
            some = min(left, len(receivers))
            self._in_time_of(event.source_id, functools.partial(self._hand_some, some))
            left -= some
        if self._waiting and not self._is_called:
            self._is_called = True
            self._clock.callLater(0, self._go_on)

    def _hand_some(self, most: int = AT_ONCE) -> None:
        """What is handed over may end its receiver, or publish another event: that comes last."""
        for _ in range(most):
            if not self._waiting:
                return
            event, receivers = self._waiting[0]
            agent_id, subscriber = receivers.popleft()
            self._count -= 1
            if not receivers:
                self._waiting.popleft()
            self._hand(agent_id, subscriber, event)
