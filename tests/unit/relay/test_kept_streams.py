"""What is kept of an agent's output for a reader that may come back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.relay.rest.limits import RestLimits
from clove.relay.rest.streams import Streams, Wanted


class Unfetched(Streams):
    """Streams of kernels that say nothing."""

    async def _fetch(self, context: Any, wanted: Wanted, made: Any) -> None:
        made.stream._open = True  # as fetching does when the kernel has agreed
        await Deferred()


async def read_once(streams: Streams, machine: str) -> object:
    """The stream that a reader of the machine's agent 2 gets, and leaves."""
    watch = SimpleNamespace(watch=lambda identity, machine_id, cut: lambda: None)
    identity: Any = SimpleNamespace(token_id="t")
    wanted = Wanted(identity=identity, machine_id=machine, agent_id=2, since=0, attached=True)
    context: Any = SimpleNamespace(machines=watch)
    async with streams.reading(context, wanted) as found:
        return found


async def test_a_removed_machines_output_is_not_that_of_another_with_its_name() -> None:
    streams = Unfetched(Clock(), RestLimits())
    before, beside = await read_once(streams, "box"), await read_once(streams, "other")
    assert await read_once(streams, "box") is before
    streams.forget("box")
    assert await read_once(streams, "box") is not before
    assert await read_once(streams, "other") is beside
    streams.stop()
