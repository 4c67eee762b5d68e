"""An event for many subscribers is handed to them in pieces, in order, and within a bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from clove.kernel.events import EventBus, EventLimits
from clove.kernel.events.spread import AT_ONCE
from tests.reactor_turns import turn

MANY = 3 * AT_ONCE + 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Listeners:
    """Many that events are pushed to, and what reached them."""

    def __init__(self, clock: Clock, handing_over: int = 10_000) -> None:
        limits = EventLimits(handing_over=handing_over)
        self.bus = EventBus(clock, limits, in_time_of=self._in_time_of)
        self.reached: list[int] = []
        self.charged: list[tuple[int, int]] = []
        for agent_id in range(1, MANY + 1):
            self.listen(agent_id)

    def _in_time_of(self, source_id: int, call: Callable[[], object]) -> None:
        before = len(self.reached)
        call()
        self.charged.append((source_id, len(self.reached) - before))

    def listen(self, agent_id: int) -> None:
        def push(frame: object) -> bool:
            self.reached.append(agent_id)
            return True

        self.bus.subscribe(agent_id, ["CUSTOM"], push=push)

    def publish(self, only: int | None = None, source_id: int = 0) -> int:
        return self.bus.publish("CUSTOM", {}, source_id, only=only)


def test_it_reaches_some_at_once_and_the_others_in_the_next_turns(clock: Clock) -> None:
    listeners = Listeners(clock)
    assert listeners.publish() == MANY
    reached = [len(listeners.reached)]
    while clock.getDelayedCalls():
        turn(clock)
        reached.append(len(listeners.reached))
    assert reached == [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, MANY]
    assert listeners.reached == list(range(1, MANY + 1))


def test_it_reaches_a_few_at_once(clock: Clock) -> None:
    listeners = Listeners(clock)
    for agent_id in range(AT_ONCE + 1, MANY + 1):
        listeners.bus.close(agent_id)
    assert listeners.publish() == len(listeners.reached) == AT_ONCE
    assert clock.getDelayedCalls() == []


def test_a_later_event_comes_later_also_to_one_that_the_first_has_not_reached(clock: Clock) -> None:
    listeners = Listeners(clock)
    bus = listeners.bus
    bus.subscribe(MANY + 1, ["CUSTOM"])
    listeners.publish()
    bus.publish("CUSTOM", {"n": 2}, only=MANY + 1)
    while clock.getDelayedCalls():
        turn(clock)
    assert [bytes(event.data) for event in bus.poll(MANY + 1, 10)[0]] == [b"{}", b'{"n":2}']


def test_it_does_not_reach_one_that_has_gone_or_wants_it_no_more(clock: Clock) -> None:
    listeners = Listeners(clock)
    listeners.publish()
    listeners.bus.close(MANY)
    listeners.bus.unsubscribe(MANY - 1, ["CUSTOM"])
    listeners.bus.close(MANY - 2)
    listeners.listen(MANY - 2)  # another one under the same id
    while clock.getDelayedCalls():
        turn(clock)
    assert listeners.reached == list(range(1, MANY - 2))


def test_who_publishes_too_much_hands_it_over(clock: Clock) -> None:
    """So what waits is bounded, and the time counts for who publishes."""
    most = MANY
    listeners = Listeners(clock, most)
    for number in range(1, 20):
        listeners.publish()
        assert number * MANY - len(listeners.reached) <= most
    assert len(clock.getDelayedCalls()) == 1


def test_what_is_handed_over_later_is_time_of_what_has_caused_it(clock: Clock) -> None:
    listeners = Listeners(clock)
    listeners.publish(source_id=7)
    listeners.publish(source_id=8)
    while clock.getDelayedCalls():
        turn(clock)
    of_7 = [count for source_id, count in listeners.charged if source_id == 7]
    assert of_7 == [
        AT_ONCE,
        AT_ONCE,
        1,
    ]  # 64 of the second within the request that published the other
    assert sum(count for _, count in listeners.charged) == 2 * MANY
