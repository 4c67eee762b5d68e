"""A relay that stops has kernels and remote agents leave it, and waits for those that answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from clove.loop.slices import in_slices

if TYPE_CHECKING:
    from clove.relay.hub.agent_link import AgentLink
    from clove.relay.hub.machine_link import MachineLink
    from clove.relay.hub.machine_v1 import MachineV1

__all__ = ["TOGETHER", "Draining"]

TOGETHER: Final = 64
"""Links that are told of the end, or closed, in one turn of the reactor."""


class Draining:
    """Has links of version 2 leave.

    @param machines: those that there are, at any time.
    @param agents: the same.
    """

    def __init__(
        self,
        clock: Any,
        machines: Mapping[str, MachineLink | MachineV1],
        agents: Mapping[str, AgentLink],
    ) -> None:
        self._clock = clock
        self._machines = machines
        self._agents = agents
        self._left: Deferred[None] | None = None

    async def wait(self, seconds: float) -> None:
        """Tell all, and wait until they have left; so long at most."""
        left: Deferred[None] = Deferred()
        self._left = left
        left.addTimeout(seconds, self._clock, onTimeoutCancel=lambda *_: None)
        async for agents in in_slices(self._agents.values(), self._clock, TOGETHER):
            for agent in agents:
                agent.leave_when_cut()
        async for machines in in_slices(self._machines.values(), self._clock, TOGETHER):
            for machine in machines:
                machine.drain(seconds)
        self.look()
        await left

    def look(self) -> None:
        """A link has ended. One that answers nothing is not awaited: it comes back elsewhere anyway."""
        left = self._left
        if left is None or left.called:
            return
        machines, agents = self._machines.values(), self._agents.values()
        if not any(
            one.version == 2 and one.presence == "connected" for one in machines
        ) and not any(one.status == "connected" for one in agents):
            left.callback(None)
