"""The event bus: who gets what, in bounded queues or by push."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from clove.errors import ConnectionLost, InvalidRequest, LimitExceeded
from clove.kernel.events import EventBus, EventLimits, custom_data
from clove.messages.base import Reply
from clove.messages.events import EVENT_TYPES, EventPush


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(1000)
    return clock


def some(clock: Clock, **limits: int) -> EventBus:
    return EventBus(clock, EventLimits(**limits), wall=clock.seconds)


def data(bus: EventBus, agent_id: int) -> list[Any]:
    """The data of what waits for an agent."""
    return [msgspec.json.decode(event.data) for event in bus.poll(agent_id, 1000)[0]]


def test_a_subscriber_gets_the_types_it_asked_for(clock: Clock) -> None:
    bus = some(clock)
    bus.subscribe(1, ["AGENT_SPAWNED"])
    assert bus.publish("AGENT_SPAWNED", {"agent_name": "x"}, 7) == 1
    assert bus.publish("AGENT_EXITED", {}, 7) == 0
    clock.advance(0.25)
    (event,), dropped = bus.poll(1, 10)
    assert (event.type, event.source_agent_id, event.timestamp) == ("AGENT_SPAWNED", 7, 1000.0)
    assert (event.age_ms, bytes(event.data), dropped) == (250, b'{"agent_name":"x"}', 0)
    assert bus.poll(1, 10) == ([], 0)


def test_all_means_every_type(clock: Clock) -> None:
    bus = some(clock)
    assert bus.subscribe(1, [], all=True) == list(EVENT_TYPES)
    assert [bus.publish(type, {}) for type in EVENT_TYPES] == [1] * len(EVENT_TYPES)


def test_subscriptions_add_up_and_are_given_up(clock: Clock) -> None:
    bus = some(clock)
    assert bus.subscribe(1, ["CUSTOM"]) == ["CUSTOM"]
    assert bus.subscribe(1, ["AGENT_EXITED"]) == ["AGENT_EXITED", "CUSTOM"]
    assert bus.unsubscribe(1, ["CUSTOM", "AGENT_PAUSED"]) == ["CUSTOM"]
    assert "CUSTOM" not in bus.by_type
    assert "AGENT_EXITED" in bus.by_type
    assert bus.unsubscribe(1, [], all=True) == ["AGENT_EXITED"]
    assert bus.unsubscribe(2, [], all=True) == []
    assert "AGENT_EXITED" not in bus.by_type


def test_what_waits_can_be_polled_after_giving_up(clock: Clock) -> None:
    bus = some(clock)
    bus.subscribe(1, ["CUSTOM"])
    bus.publish("CUSTOM", {"n": 1})
    bus.unsubscribe(1, ["CUSTOM"])
    bus.publish("CUSTOM", {"n": 2})
    assert data(bus, 1) == [{"n": 1}]
    assert bus.poll(1, 1) == ([], 0)


@pytest.mark.parametrize(
    ("types", "hint"),
    [
        ([], "types are AGENT_SPAWNED"),
        (["NO_SUCH"], "known are AGENT_SPAWNED"),
        (["CUSTOM", "custom"], "did you mean CUSTOM?"),
        (["AGENT_SPWANED"], "did you mean AGENT_SPAWNED"),
        ([""], "known are AGENT_SPAWNED"),
    ],
)
def test_types_must_be_known(clock: Clock, types: list[str], hint: str) -> None:
    bus = some(clock)
    for use in (bus.subscribe, bus.unsubscribe):
        with pytest.raises(InvalidRequest) as caught:
            use(1, types)
        assert hint in caught.value.hint
    assert not bus.by_type


def test_only_the_audience_sees_an_event(clock: Clock) -> None:
    bus = some(clock)
    for agent_id in (1, 2, 3):
        bus.subscribe(agent_id, ["MESSAGE_RECEIVED"])
    assert bus.publish("MESSAGE_RECEIVED", {}, 1, lambda agent_id: agent_id == 2) == 1
    assert [len(bus.poll(agent_id, 10)[0]) for agent_id in (1, 2, 3)] == [0, 1, 0]


def test_an_event_for_one_subscriber_asks_no_other(clock: Clock) -> None:
    bus = some(clock)
    for agent_id in (1, 2, 3):
        bus.subscribe(agent_id, ["MESSAGE_RECEIVED"])
    assert bus.publish("MESSAGE_RECEIVED", {}, 1, only=2) == 1
    assert bus.publish("MESSAGE_RECEIVED", {}, 1, only=4) == 0
    assert [len(bus.poll(agent_id, 10)[0]) for agent_id in (1, 2, 3)] == [0, 1, 0]


def test_a_full_queue_drops_the_oldest_and_counts(clock: Clock) -> None:
    bus = some(clock, max_queue=2)
    bus.subscribe(1, ["CUSTOM"])
    for number in range(5):
        bus.publish("CUSTOM", {"n": number})
    events, dropped = bus.poll(1, 1)
    assert (bytes(events[0].data), dropped) == (b'{"n":3}', 3)
    assert bus.poll(1, 10)[1] == 0


def test_a_queue_is_bounded_by_bytes(clock: Clock) -> None:
    bus = some(clock, max_queue_bytes=20)
    bus.subscribe(1, ["CUSTOM"])
    for number in range(4):
        bus.publish("CUSTOM", {"n": number})
    assert bus.poll(1, 10)[1] == 2


def test_a_subscriber_that_does_not_poll_does_not_hinder_others(clock: Clock) -> None:
    bus = some(clock, max_queue=2)
    bus.subscribe(1, ["CUSTOM"])
    bus.subscribe(2, ["CUSTOM"])
    for number in range(5):
        bus.publish("CUSTOM", {"n": number})
        assert data(bus, 2) == [{"n": number}]


def test_data_is_bounded(clock: Clock) -> None:
    bus = some(clock, max_data_bytes=10)
    bus.subscribe(1, ["CUSTOM"])
    with pytest.raises(LimitExceeded):
        bus.publish("CUSTOM", {"n": "x" * 10})
    assert data(bus, 1) == []


def test_a_poll_is_bounded(clock: Clock) -> None:
    bus = some(clock, max_batch=2)
    bus.subscribe(1, ["CUSTOM"])
    for number in range(3):
        bus.publish("CUSTOM", {"n": number})
    assert len(bus.poll(1, 10**30)[0]) == 2


def test_a_closed_agent_gets_nothing(clock: Clock) -> None:
    bus = some(clock)
    bus.subscribe(1, [], all=True)
    bus.close(1)
    bus.close(1)
    assert bus.publish("CUSTOM", {}) == 0
    assert not bus.by_type


def test_a_push_goes_out_at_once(clock: Clock) -> None:
    bus = some(clock)
    pushed: list[Reply] = []
    bus.subscribe(1, ["CUSTOM"], push=pushed.append)
    assert bus.publish("CUSTOM", {"n": 1}, 5) == 1
    (frame,) = pushed
    assert isinstance(frame, EventPush)
    assert (frame.type, frame.source_agent_id, frame.timestamp) == ("CUSTOM", 5, 1000.0)
    assert msgspec.json.decode(msgspec.json.encode(frame))["data"] == {"n": 1}
    assert bus.poll(1, 10) == ([], 0)


def _refused(_: Reply) -> bool:
    return False


def _lost(_: Reply) -> bool:
    raise ConnectionLost("gone")


@pytest.mark.parametrize("push", [_refused, _lost])
def test_events_wait_when_a_push_fails(clock: Clock, push: Any) -> None:
    bus = some(clock)
    bus.subscribe(1, ["CUSTOM"], push=push)
    bus.publish("CUSTOM", {"n": 1})
    bus.publish("CUSTOM", {"n": 2})
    assert data(bus, 1) == [{"n": 1}, {"n": 2}]
    pushed: list[Reply] = []
    bus.subscribe(1, ["CUSTOM"], push=pushed.append)
    bus.publish("CUSTOM", {"n": 3})
    assert len(pushed) == 1


def test_a_push_that_failed_is_not_used_again_so_that_order_holds(clock: Clock) -> None:
    bus = some(clock)
    answers = [False, True]
    bus.subscribe(1, ["CUSTOM"], push=lambda _: answers.pop(0))
    bus.publish("CUSTOM", {"n": 1})
    bus.publish("CUSTOM", {"n": 2})
    assert data(bus, 1) == [{"n": 1}, {"n": 2}]
    assert answers == [True]


def test_one_that_its_push_closes_does_not_disturb_the_others(clock: Clock) -> None:
    bus = some(clock)

    def close(_: Reply) -> bool:
        bus.close(1)
        bus.close(2)
        return False

    bus.subscribe(1, ["CUSTOM"], push=close)
    bus.subscribe(2, ["CUSTOM"])
    bus.subscribe(3, ["CUSTOM"])
    bus.publish("CUSTOM", {"n": 1})
    assert (data(bus, 2), data(bus, 3)) == ([], [{"n": 1}])


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("DONE", b"null", {"custom_type": "DONE"}),
        ("DONE", b'{"a": {"b": 1}}', {"a": {"b": 1}, "custom_type": "DONE"}),
        ("DONE", b'{"custom_type": "AGENT_EXITED"}', {"custom_type": "DONE"}),
        ("AGENT_EXITED", b"{}", {"custom_type": "AGENT_EXITED"}),
        ("DONE", b"[1]", {"data": [1], "custom_type": "DONE"}),
        ("CUSTOM", b'{"custom_type": "mine"}', {"custom_type": "mine"}),
        ("CUSTOM", b"{}", {"custom_type": "CUSTOM"}),
    ],
)
def test_an_emitted_event_says_its_own_type(
    name: str, given: bytes, wanted: dict[str, Any]
) -> None:
    made = custom_data(name, msgspec.Raw(given), 128)
    assert msgspec.json.decode(made) == wanted


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 129, "\x1b[0m"])
def test_what_is_no_type(name: str) -> None:
    with pytest.raises(InvalidRequest):
        custom_data(name, msgspec.Raw(b"{}"), 128)


def test_what_waits_for_a_family_is_bounded_and_its_oldest_make_room(clock: Clock) -> None:
    bus = some(clock, all_queue_bytes=80_000)
    for agent_id in range(1, 21):
        bus.subscribe(agent_id, ["CUSTOM"], family=1)
    bus.subscribe(30, ["CUSTOM"], family=30)
    for number in range(20):
        bus.publish("CUSTOM", {"number": number, "text": "x" * 500})
    assert bus._shares.of(1) <= 17_500
    events, dropped = bus.poll(30, 100)
    assert (len(events), dropped) == (20, 0)
    held = [bus.poll(agent_id, 100) for agent_id in range(1, 21)]
    assert all(len(events) + dropped == 20 for events, dropped in held)
    assert bus._shares.used == 0


def test_what_waits_for_an_agent_that_ends_counts_no_more(clock: Clock) -> None:
    bus = some(clock)
    bus.subscribe(1, ["CUSTOM"])
    bus.publish("CUSTOM", {})
    bus.close(1)
    assert bus._shares.used == 0


def test_noise_does_not_push_out_that_something_was_blocked(clock: Clock) -> None:
    bus = some(clock, max_queue=3)
    bus.subscribe(1, [], all=True)
    bus.publish("STATE_CHANGED", {"n": 0})
    bus.publish("SYSCALL_BLOCKED", {"n": 1})
    for number in range(2, 20):
        bus.publish("STATE_CHANGED", {"n": number})
    bus.publish("SYSCALL_BLOCKED", {"n": 20})
    events, dropped = bus.poll(1, 2)
    assert [msgspec.json.decode(event.data)["n"] for event in events] == [1, 17]
    assert dropped == 16
    assert data(bus, 1) == [{"n": 18}, {"n": 19}, {"n": 20}]
    for number in range(5):
        bus.publish("SYSCALL_BLOCKED", {"n": number})
    assert data(bus, 1) == [{"n": 2}, {"n": 3}, {"n": 4}]


def test_noise_makes_room_for_what_was_blocked_and_not_the_other_way(clock: Clock) -> None:
    bus = some(clock, max_queue=100, max_queue_bytes=1000)
    bus.subscribe(1, [], all=True)
    for _ in range(3):
        bus.publish("STATE_CHANGED", {"x": "y" * 300})
    bus.publish("SYSCALL_BLOCKED", {"x": "z" * 800})
    bus.publish("STATE_CHANGED", {"x": "y" * 300})
    events, dropped = bus.poll(1, 10)
    assert [event.type for event in events] == ["SYSCALL_BLOCKED"]
    assert dropped == 4
