"""What is kept of an agent's output for a reader that may come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import NotFound
from clove.relay.records import MachineRecord
from clove.relay.rest.limits import RestLimits
from clove.relay.rest.streams import Streams, Wanted


class Unfetched(Streams):
    """Streams of kernels that say nothing."""

    async def _fetch(self, context: Any, wanted: Wanted, made: Any) -> None:
        made.stream._open = True  # as fetching does when the kernel has agreed
        await Deferred()


class Registry:
    """Machines, each with when it was registered; those that a bearer does not reach are not here."""

    def __init__(self) -> None:
        self.created = {"box": 1.0, "other": 1.0}

    async def reached(self, identity: Any, machine_id: str) -> MachineRecord | None:
        if machine_id not in self.created:
            return None
        return MachineRecord(machine_id=machine_id, created=self.created[machine_id])

    def watch(self, identity: Any, machine_id: str, cut: Any) -> Callable[[], None]:
        return lambda: None


async def read_once(streams: Streams, registry: Registry, machine: str) -> object:
    """The stream that a reader of the machine's agent 2 gets, and leaves."""
    identity: Any = SimpleNamespace(token_id="t")
    wanted = Wanted(identity=identity, machine_id=machine, agent_id=2, since=0, attached=True)
    context: Any = SimpleNamespace(machines=registry)
    async with streams.reading(context, wanted) as found:
        return found


@pytest.fixture
def streams() -> Iterator[Streams]:
    made = Unfetched(Clock(), RestLimits())
    yield made
    made.stop()


async def test_a_removed_machines_output_is_not_that_of_another_with_its_name(
    streams: Streams,
) -> None:
    registry = Registry()
    before = await read_once(streams, registry, "box")
    beside = await read_once(streams, registry, "other")
    assert await read_once(streams, registry, "box") is before
    registry.created["box"] = 2.0  # removed at any of the relays, and registered anew
    assert await read_once(streams, registry, "box") is not before
    assert await read_once(streams, registry, "other") is beside


async def test_what_is_kept_is_read_by_none_that_reaches_the_machine_no_more(
    streams: Streams,
) -> None:
    registry = Registry()
    await read_once(streams, registry, "box")
    del registry.created["box"]
    with pytest.raises(NotFound):
        await read_once(streams, registry, "box")
