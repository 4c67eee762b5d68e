"""An agent's stream whose channel to the kernel is lost while its output is read again by another."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import ConnectionLost
from clove.relay.rest.agent_stream import AgentStream


class Kernel:
    """What the stream asks; output never comes."""

    def __init__(self) -> None:
        self.state = "running"
        self.subscribed = 0
        self.on_event: Any = None
        self.on_events_lost: Any = None

    def inspect(self, agent_id: int) -> Deferred[Any]:
        return succeed({"agent": {"state": self.state}})

    def subscribe(self, types: Any, push: bool) -> Deferred[Any]:
        self.subscribed += 1
        return succeed({})

    def read_output(self, **asked: Any) -> Deferred[Any]:
        return Deferred()


def test_a_stream_that_lost_its_events_asks_for_them_again_and_says_what_was_missed() -> None:
    clock = Clock()
    stream = AgentStream(clock, 1, 0, 1 << 20, attached=False)
    kernel: Any = Kernel()
    fetching = Deferred.fromCoroutine(stream.fetch(kernel))
    kernel.state = "paused"
    kernel.on_events_lost(ConnectionLost("the channel was lost"))
    assert kernel.subscribed == 2
    assert [state["state"] for _, state in stream._states] == ["running", "paused"]
    fetching.addErrback(lambda _: None)
    fetching.cancel()
