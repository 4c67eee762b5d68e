"""The event bus: from publishers to subscribers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.kernel.clocks import Wall
from clove.kernel.events.limits import EventLimits
from clove.kernel.events.spread import InTimeOf, Spread
from clove.kernel.events.subscriber import Happening, Push, Subscriber
from clove.messages.events import EVENT_TYPES, Event, EventPush
from clove.sharing.shares import ShareLimits, Shares
from clove.spelling import near

__all__ = ["Audience", "EventBus"]

Audience = Callable[[int], bool]
"""Whether the agent with this id may see an event."""


class EventBus:
    """Subscribers by agent id.

    @ivar limits: its bounds.
    @ivar by_type: the types that have subscribers, with these: who publishes often looks there first.
    @param wall: dates events.
    @param in_time_of: charges what has caused an event for handing it over; not for what a request does at once.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        limits: EventLimits | None = None,
        shares: ShareLimits | None = None,
        wall: Wall = time.time,
        in_time_of: InTimeOf = lambda _, call: call(),
    ) -> None:
        self._clock = clock
        self._wall = wall
        self.limits = limits or EventLimits()
        self._shares = Shares(
            "bytes of events waiting",
            "limits.events.all_queue_bytes",
            self.limits.all_queue_bytes,
            shares,
            memory=True,
        )
        self._subscribers: dict[int, Subscriber] = {}
        self.by_type: dict[str, dict[int, Subscriber]] = {}
        self._spread = Spread(clock, self._hand, self.limits.handing_over, in_time_of)

    def publish(
        self,
        type: str,
        data: Mapping[str, object] | msgspec.Raw,
        source_id: int = 0,
        audience: Audience | None = None,
        only: int | None = None,
    ) -> int:
        """Give an event to all subscribers that may see it; gives how many they are.

        @param data: something that JSON can hold.
        @param source_id: the principal that caused it; 0 for the kernel.
        @param audience: tells of a subscriber's id whether it may see the event; None: all may.
        @param only: the one subscriber that it is for; None: it is for all.
        @raise LimitExceeded: the data is too large.
        """
        subscribers = self.by_type.get(type)
        if subscribers is None:
            return 0
        if only is not None:
            if only not in subscribers:
                return 0
            subscribers = {only: subscribers[only]}
        raw = data if isinstance(data, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(data))
        self.check_size(raw)
        event = Happening(type, raw, source_id, self._clock.seconds(), self._wall())
        found = subscribers.items()
        receivers = deque(one for one in found if audience is None or audience(one[0]))
        reached = len(receivers)
        self._spread.add(event, receivers)
        return reached

    def check_size(self, data: msgspec.Raw) -> None:
        """@raise LimitExceeded: too large for an event."""
        if len(data) > self.limits.max_data_bytes:
            raise LimitExceeded(
                f"the event's data has {len(data)} bytes, the limit is"
                f" {self.limits.max_data_bytes}",
                hint="STORE it and tell the key",
            )

    def subscribe(
        self,
        agent_id: int,
        types: Iterable[str],
        all: bool = False,
        push: Push | None = None,
        family: int | None = None,
    ) -> list[str]:
        """Subscribe to more types; gives all that are subscribed to now.

        @param push: from now on events go there at once, instead of waiting for
            L{poll}. When it fails they wait again, until the next subscription
            with a push. None leaves it as it was.
        @param family: the family that waiting events count for; None: a family of its own.
        @raise InvalidRequest: an unknown type, or nothing named.
        """
        chosen = _chosen(types, all)
        subscriber = self._subscribers.get(agent_id)
        if subscriber is None:
            limits = self.limits
            family = agent_id if family is None else family
            subscriber = Subscriber(limits.max_queue, limits.max_queue_bytes, self._shares, family)
            self._subscribers[agent_id] = subscriber
        subscriber.types |= chosen
        for type in chosen:
            self.by_type.setdefault(type, {})[agent_id] = subscriber
        if push is not None:
            subscriber.push = push
        return _in_order(subscriber.types)

    def unsubscribe(self, agent_id: int, types: Iterable[str], all: bool = False) -> list[str]:
        """Want fewer types; gives those that were given up. What waits still waits.

        @raise InvalidRequest: an unknown type, or nothing named.
        """
        chosen = _chosen(types, all)
        subscriber = self._subscribers.get(agent_id)
        if subscriber is None:
            return []
        given_up = chosen & subscriber.types
        subscriber.types -= given_up
        self._forget(agent_id, given_up)
        if not subscriber.types and not len(subscriber):
            del self._subscribers[agent_id]
        return _in_order(given_up)

    def poll(self, agent_id: int, most: int) -> tuple[list[Event], int]:
        """Events that waited, oldest first, and how many were dropped since the last poll."""
        subscriber = self._subscribers.get(agent_id)
        if subscriber is None:
            return [], 0
        taken, dropped = subscriber.take(min(most, self.limits.max_batch))
        now = self._clock.seconds()
        events = [
            Event(
                type=event.type,
                data=event.data,
                source_agent_id=event.source_id,
                timestamp=event.timestamp,
                age_ms=max(0, int((now - event.at) * 1000)),
            )
            for event in taken
        ]
        if not subscriber.types and not len(subscriber):
            del self._subscribers[agent_id]
        return events, dropped

    def close(self, agent_id: int) -> None:
        """The agent is gone."""
        subscriber = self._subscribers.pop(agent_id, None)
        if subscriber is not None:
            self._forget(agent_id, subscriber.types)
            subscriber.close()

    def _forget(self, agent_id: int, types: Iterable[str]) -> None:
        for type in types:
            subscribers = self.by_type[type]
            del subscribers[agent_id]
            if not subscribers:
                del self.by_type[type]

    def _hand(self, agent_id: int, subscriber: Subscriber, event: Happening) -> None:
        """Push an event or keep it; not for one that is gone, or wants it no more."""
        if self.by_type.get(event.type, {}).get(agent_id) is not subscriber:
            return
        if subscriber.push is None or not self._pushed(subscriber.push, event):
            subscriber.push = None
            subscriber.put(event)

    def _pushed(self, push: Push, event: Happening) -> bool:
        frame = EventPush(
            type=event.type,
            data=event.data,
            source_agent_id=event.source_id,
            timestamp=event.timestamp,
        )
        try:
            return push(frame) is not False
        except CloveError:
            return False
        except Exception:
            self.log.failure("pushing an event failed")
            return False


def _chosen(types: Iterable[str], all: bool) -> set[str]:
    if all:
        return set(EVENT_TYPES)
    chosen = set(types)
    if not chosen:
        raise InvalidRequest(
            "name the event types, or ask for all", hint=f"types are {', '.join(EVENT_TYPES)}"
        )
    unknown = sorted(chosen.difference(EVENT_TYPES))
    if unknown:
        raise InvalidRequest(
            f"unknown event types: {', '.join(unknown)}",
            hint=f"{near(unknown[0], EVENT_TYPES)}; events of agents arrive as CUSTOM",
        )
    return chosen


def _in_order(types: set[str]) -> list[str]:
    return [type for type in EVENT_TYPES if type in types]
