"""The hub: which machines and remote agents are connected, and the way from one to the other.

It hands bytes on. Who somebody is, the tokens and the machines' keys say; what a caller may do on a
machine, that machine's kernel decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from clove.errors import LimitExceeded, Unavailable
from clove.loop.slices import in_slices
from clove.relay.hub.agent_link import AgentLink
from clove.relay.hub.agent_v1 import AgentV1, Way, entry_of
from clove.relay.hub.channel_way import ChannelWay
from clove.relay.hub.doors import Alone, FarMachine, OtherRelays
from clove.relay.hub.draining import TOGETHER, Draining
from clove.relay.hub.limits import HubLimits
from clove.relay.hub.machine_link import MachineLink
from clove.relay.hub.machine_v1 import MachineV1
from clove.relay.hub.rounds import Rounds

if TYPE_CHECKING:
    from clove.relay.machines.presence import RemoteCaller

__all__ = ["FIRST_AGENT", "Hub"]

FIRST_AGENT: Final = 1000
"""The contract's: ids of remote agents begin here."""
SLICE_SECONDS: Final = 0.1
"""Between two slices of a round in which all links are asked whether they answer: not all in one turn."""

Machine = MachineLink | MachineV1
Agent = AgentLink | AgentV1


class Hub:
    """All that is connected to a relay.

    @ivar admitted: tunnels so far.
    @param wall: seconds since the epoch.
    @ivar elsewhere: the relays that share its store; set by what wires the relay.
    """

    log = Logger()

    def __init__(
        self, clock: Any, wall: Callable[[], float], limits: HubLimits | None = None
    ) -> None:
        self.clock = clock
        self.wall = wall
        self.limits = limits or HubLimits()
        self.elsewhere: OtherRelays = Alone()
        self.admitted = 0
        self._machines: dict[str, Machine] = {}
        self._agents: dict[int, Agent] = {}
        self._by_session: dict[str, AgentLink] = {}
        self._of_token: dict[str, int] = {}
        self._next_agent = FIRST_AGENT
        self._rounds: Rounds[Machine | AgentLink] = Rounds(
            max(1, round(self.limits.ping_seconds / SLICE_SECONDS))
        )
        self._draining = Draining(clock, self._machines, self._by_session)
        self._loop = LoopingCall(self._ping_some)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to ask the tunnels whether their kernels answer."""
        self._loop.start(self.limits.ping_seconds / len(self._rounds), now=False)

    async def stop(self) -> None:
        """Close everything."""
        if self._loop.running:
            self._loop.stop()
        links = [*self._agents.values(), *self._machines.values()]
        async for some in in_slices(links, self.clock, TOGETHER):
            for one in some:
                one.end("the relay stops")

    async def drain(self) -> None:
        """Have kernels and remote agents leave: those of version 2, within a time."""
        await self._draining.wait(self.limits.drain_seconds)

    def _ping_some(self) -> None:
        for link in self._rounds.next_slice():
            if isinstance(link, AgentLink):
                link.check()
            else:
                link.ping()

    # what others of the relay ask

    def links(self) -> Mapping[str, Machine]:
        """The live tunnels by machine; with C{presence}, C{since}, C{instance} and C{callers}."""
        return self._machines

    @property
    def caller_count(self) -> int:
        """How many remote agents are connected."""
        return len(self._agents)

    async def callers(self) -> list[RemoteCaller]:
        """The remote agents that are connected."""
        found: list[RemoteCaller] = []
        async for some in in_slices(self._agents.values(), self.clock):
            found += map(entry_of, some)
        return found

    def is_here(self, machine_id: str) -> bool:
        """Its tunnel is connected to this relay: L{find} asks no other."""
        machine = self._machines.get(machine_id)
        return machine is not None and machine.presence != "disconnected"

    async def find(self, machine_id: str, token_id: str) -> Machine | FarMachine:
        """The way to a machine, whose tunnel may be at another relay, for the bearer of a token.

        @raise Unavailable: it is not connected, or its relay cannot be reached.
        """
        if not self.is_here(machine_id):
            far = await self.elsewhere.find(machine_id, token_id)
            if far is not None:
                return far
        return self.machine(machine_id, token_id)

    def cut(self, machine_id: str, reason: str) -> None:
        """End a machine's tunnel, and what goes through it."""
        machine = self._machines.get(machine_id)
        if machine is not None:
            machine.end(reason)

    # what those that come in ask

    def machine(self, machine_id: str, token_id: str) -> Machine | FarMachine:
        """The same, as far as it is known without asking.

        @raise Unavailable: there is none.
        """
        machine = self._machines.get(machine_id)
        if not self.is_here(machine_id):
            far = self.elsewhere.known(machine_id, token_id)
            if far is not None:
                return far
        if machine is None:
            raise Unavailable(
                f"machine {machine_id!r} is not connected",
                hint="GET /api/v1/machines (clove machines list) says since when; start its kernel, "
                "or try again",
            )
        return machine

    def check_room(self, token_id: str = "") -> None:
        """@raise LimitExceeded: there are too many links, or too many with this token."""
        limits = self.limits
        if len(self._machines) + len(self._agents) >= limits.links:
            raise LimitExceeded(
                "the relay has all the links that it may have", hint="limits.hub.links"
            )
        if token_id and self._of_token.get(token_id, 0) >= limits.links_per_token:
            raise LimitExceeded(
                f"{limits.links_per_token} remote agents have this token already",
                hint="close some, or use another token; limits.hub.links_per_token",
            )

    def add_machine(self, machine: Machine) -> None:
        """A tunnel takes the place of an earlier one of its machine."""
        earlier = self._machines.pop(machine.machine_id, None)
        if earlier is not None:
            earlier.end("another connection of this machine has taken its place")
        self.admitted += 1
        self._machines[machine.machine_id] = machine
        self._rounds.put(machine.machine_id, machine)
        self.log.info(
            "machine {machine} has a tunnel of version {version}",
            machine=machine.machine_id,
            version=machine.version,
        )

    def machine_ended(self, machine: Machine, reason: str) -> None:
        """A tunnel is gone for good."""
        if self._machines.get(machine.machine_id) is machine:
            del self._machines[machine.machine_id]
            self._rounds.discard(machine.machine_id)
            self.log.info(
                "the tunnel of machine {machine} has ended: {reason}",
                machine=machine.machine_id,
                reason=reason,
            )
            self._draining.look()

    def next_agent_id(self) -> int:
        """The number of a new remote agent."""
        number = self._next_agent
        self._next_agent += 1
        return number

    def add_agent(self, agent: Agent) -> None:
        """A remote agent is connected."""
        self._agents[agent.caller.id] = agent
        token_id = agent.bearer
        self._of_token[token_id] = self._of_token.get(token_id, 0) + 1
        if isinstance(agent, AgentLink):
            self._by_session[agent.session] = agent
            self._rounds.put(agent.caller.id, agent)

    def agent_ended(self, agent: Agent, reason: str) -> None:
        """It is gone for good."""
        if self._agents.pop(agent.caller.id, None) is None:
            return
        token_id = agent.bearer
        self._of_token[token_id] -= 1
        if not self._of_token[token_id]:
            del self._of_token[token_id]
        if isinstance(agent, AgentLink):
            self._by_session.pop(agent.session, None)
            self._rounds.discard(agent.caller.id)
            self._draining.look()

    def agent_of_session(self, session: str) -> AgentLink | None:
        """The remote agent that a reconnection wants to be."""
        return self._by_session.get(session)

    def reach(self, agent: AgentV1) -> Way:
        """A way to its machine for a remote agent of version 1.

        @raise Unavailable: the machine is not connected.
        @raise PermissionDenied: see L{MachineV1.way}.
        """
        machine = self.machine(agent.target_machine, agent.bearer)
        if isinstance(machine, MachineV1):
            return machine.way(agent)
        if isinstance(machine, MachineLink):
            return ChannelWay(machine.open(agent.caller), agent)
        return ChannelWay(machine.open_for_v1(agent.caller), agent)
