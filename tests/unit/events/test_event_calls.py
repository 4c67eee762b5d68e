"""SUBSCRIBE, UNSUBSCRIBE, POLL_EVENTS and EMIT as a client's bytes reach them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.task import Clock

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.kernel.calls import events as calls
from clove.kernel.context import Context, Kernel
from clove.kernel.events import EventBus
from clove.kernel.principal import Kind, Principal
from clove.messages import Reply, decode, encode
from clove.messages import events as messages
from clove.policy import Level, for_level


class Agents:
    """Two agents and a kernel with an event bus."""

    def __init__(self) -> None:
        self.bus = EventBus(Clock(), wall=lambda: 0.0)
        self.ann, self.bob = (Principal(id, Kind.AGENT, for_level(Level.STANDARD)) for id in (1, 2))
        self.push: list[Reply] | None = None

    def call(self, name: str, request: bytes, who: Principal | None = None) -> Any:
        kernel = cast(Kernel, SimpleNamespace(events=self.bus))
        context = Context(kernel, who or self.ann)
        if self.push is not None:
            context.push = self._take
        kind = getattr(messages, name.title().replace("_", "") + "Request")
        return msgspec.json.decode(encode(getattr(calls, name)(context, decode(kind, request))))

    def _take(self, frame: Reply) -> bool:
        assert self.push is not None
        self.push.append(frame)
        return True


@pytest.fixture
def agents() -> Agents:
    return Agents()


@pytest.mark.parametrize(
    "request_",
    [
        b'{"event_types": ["CUSTOM"]}',
        b'{"event_types": "CUSTOM"}',
        b'{"events": ["CUSTOM"]}',
        b'{"event": "CUSTOM"}',
        b'{"event": "CUSTOM", "event_types": []}',
        b'{"event": "CUSTOM", "events": null}',
    ],
)
def test_every_spelling_of_a_subscription(agents: Agents, request_: bytes) -> None:
    assert agents.call("subscribe", request_) == {"success": True, "subscribed": ["CUSTOM"]}
    assert agents.call("unsubscribe", request_) == {"success": True, "unsubscribed": ["CUSTOM"]}


def test_an_event_of_ones_own_reaches_subscribers_as_custom(agents: Agents) -> None:
    agents.call("subscribe", b'{"all": true}')
    emitted = agents.call("emit", b'{"event_type": "DONE", "data": {"n": 1}}', agents.bob)
    assert emitted == {"success": True, "delivered_to": 1}
    assert agents.call("poll_events", b"") == {
        "success": True,
        "count": 1,
        "events": [
            {
                "type": "CUSTOM",
                "data": {"n": 1, "custom_type": "DONE"},
                "source_agent_id": 2,
                "timestamp": 0.0,
                "age_ms": 0,
            }
        ],
        "dropped": 0,
    }


def test_no_agent_can_forge_what_the_kernel_says(agents: Agents) -> None:
    agents.call("subscribe", b'{"event": "AGENT_EXITED"}')
    agents.call("subscribe", b'{"event": "CUSTOM"}', agents.bob)
    agents.call("emit", b'{"event": "AGENT_EXITED", "data": {"agent_name": "bob"}}')
    assert agents.call("poll_events", b"")["count"] == 0
    (event,) = agents.call("poll_events", b"", agents.bob)["events"]
    assert (event["type"], event["data"]["custom_type"]) == ("CUSTOM", "AGENT_EXITED")


def test_events_are_pushed_where_the_connection_can(agents: Agents) -> None:
    agents.push = []
    agents.call("subscribe", b'{"event": "CUSTOM", "push": true}')
    agents.call("emit", b'{"event": "X"}')
    assert [frame.type for frame in agents.push if isinstance(frame, messages.EventPush)] == [
        "CUSTOM"
    ]
    assert agents.call("poll_events", b"")["count"] == 0


def test_events_wait_where_the_connection_cannot_push(agents: Agents) -> None:
    agents.call("subscribe", b'{"event": "CUSTOM", "push": true}')
    agents.call("emit", b'{"event": "X"}')
    assert agents.call("poll_events", b'{"max": 1}')["count"] == 1


@pytest.mark.parametrize(
    ("name", "request_", "error"),
    [
        ("subscribe", b"{}", InvalidRequest),
        ("subscribe", b'{"event": "NO_SUCH"}', InvalidRequest),
        ("subscribe", b'{"event_types": [1]}', InvalidRequest),
        ("unsubscribe", b"{}", InvalidRequest),
        ("poll_events", b'{"max": 0}', InvalidRequest),
        ("emit", b"{}", InvalidRequest),
        ("emit", b'{"event": ""}', InvalidRequest),
        ("emit", b'{"event": "a\\nb"}', InvalidRequest),
        ("emit", b'{"event": "a", "data": "\xff"}', InvalidRequest),
        ("emit", b'{"event": "a", "data": "%s"}' % (b"x" * (64 << 10)), LimitExceeded),
    ],
)
def test_what_makes_no_sense(
    agents: Agents, name: str, request_: bytes, error: type[CloveError]
) -> None:
    with pytest.raises(error):
        agents.call(name, request_)
