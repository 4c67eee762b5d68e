"""All agents: spawning, finding, ending them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, DeferredList

from clove.errors import LimitExceeded, NotFound, Unavailable
from clove.kernel.agents.agent import Agent
from clove.kernel.agents.exposure import NOTHING
from clove.kernel.agents.lifecycle import Lifecycle
from clove.kernel.agents.pace import Pace
from clove.kernel.agents.remembered import Remembered
from clove.kernel.agents.restart import Restart
from clove.kernel.lane import Lane
from clove.kernel.principal import Kind, Principal
from clove.kernel.shares import ShareLimits, Shares
from clove.kernel.threads import to_the_end
from clove.kernel.turns import Turn, Turns

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.kernel.agents.exposure import Grants
    from clove.kernel.agents.interpreter import Interpreter
    from clove.kernel.agents.logbook import Logbook
    from clove.kernel.agents.settings import AgentLimits
    from clove.kernel.registry import Registry
    from clove.messages.agents import SpawnRequest
    from clove.policy import Permissions
    from clove.sandbox.interface import ISandbox

__all__ = ["Agents"]

Launch = Callable[[Agent], Awaitable["ISandbox"]]


class Script(Protocol):
    """A script that was found.

    @ivar path: absolute, as its parent sees it.
    @ivar interpreter: what runs it.
    """

    path: str
    interpreter: Interpreter

    def load(self) -> bytes:
        """Its bytes. Blocking.

        @raise CloveError: it cannot be read.
        """

    def close(self) -> None:
        """Let go of it."""


Find = Callable[[], Coroutine[Any, Any, Script]]
"""Finds an agent's script."""


class Agents:
    """The spawned agents of this kernel.

    @ivar prepare: given an agent's principal, its request and what finds its
        script, makes its places and gives the way to launch it.
    @ivar forget: takes an agent's places away.
    @ivar later: does background work.
    """

    def __init__(
        self,
        clock: IReactorTime,
        registry: Registry,
        limits: AgentLimits,
        *,
        prepare: Callable[[Principal, SpawnRequest, Find], Awaitable[Launch]],
        forget: Callable[[int], Awaitable[None]],
        later: Callable[[Awaitable[None]], None],
        logbook: Callable[[Principal], Logbook],
        notify: Callable[[Agent, str, dict[str, Any]], None],
        opened: Callable[[Principal], None],
        closed: Callable[[Principal], None],
        shares: ShareLimits | None = None,
    ) -> None:
        shares = shares or ShareLimits()
        self._clock = clock
        self._registry = registry
        self._limits = limits
        self._prepare = prepare
        self._forget = forget
        self._later = later
        self._logbook = logbook
        self._notify = notify
        self._opened = opened
        self._closed = closed
        self._live: dict[int, Agent] = {}
        self._spawning: dict[int, Deferred[Agent]] = {}
        self._ended = Remembered(limits.remembered, limits.remembered_output, shares)
        self._pace = Pace(clock, limits.ends_at_once, limits.end_turn)
        self._places = Shares("agents", "limits.agents.max_agents", limits.max_agents, shares)
        self._starts = Lane(clock, Turns.shared(limits.spawns_at_once, shares))
        self._stopping = False
        self.script_limit = limits.script

    async def spawn(
        self,
        parent: Principal,
        request: SpawnRequest,
        permissions: Permissions,
        find: Find,
        grants: Grants = NOTHING,
    ) -> Agent:
        """Start an agent.

        @param permissions: what it may do; already no more than its parent may.
        @param find: finds its script, in its turn.
        @param grants: paths of the host that its parent grants by name.
        @raise AlreadyExists: the name is in use by a live agent.
        @raise LimitExceeded: too many agents live, or too many spawns wait.
        @raise IsolationUnavailable: what was asked for cannot be had here.
        @raise CloveError: the script cannot be read.
        """
        if self._stopping:
            raise Unavailable("the kernel is stopping")
        principal = Principal(
            self._registry.new_id(),
            Kind.AGENT,
            permissions,
            name=request.name,
            ancestors=(parent.agent_id, *parent.ancestors),
            family=0 if parent.is_operator else parent.family,
            sandboxed=request.sandboxed,
            network=bool(request.network) or not request.sandboxed,
            grants=grants if request.sandboxed else None,
            limits=parent.limits,
        )
        self._check_room(parent, principal)
        self._registry.add(principal)
        self._places.add(principal.family)
        self._opened(principal)
        spawning = Deferred.fromCoroutine(self._spawn(parent, principal, request, find))
        self._spawning[principal.agent_id] = spawning
        try:
            return await spawning
        finally:
            self._spawning.pop(principal.agent_id, None)

    def _check_room(self, parent: Principal, principal: Principal) -> None:
        """@raise LimitExceeded: there is no room for a child of this parent."""
        if len(principal.ancestors) > self._limits.max_depth:
            raise LimitExceeded(
                f"agents spawn each other {self._limits.max_depth} deep at most",
                hint="have an ancestor spawn it, or raise limits.agents.max_depth",
            )
        refusal = self._places.refusal(parent.family)
        if refusal is not None:
            raise refusal
        if self._starts.waiting(parent.family) >= self._limits.spawns_waiting:
            raise LimitExceeded(
                "too many spawns of your family of agents wait", hint="await some of them first"
            )

    async def _spawn(
        self, parent: Principal, principal: Principal, request: SpawnRequest, find: Find
    ) -> Agent:
        """Start it in its turn; whatever goes wrong, or is cancelled, leaves nothing."""
        try:
            async with self._starts.within(Turn(parent.family, parent.agent_id)):
                return await self._start(principal, request, find)
        except BaseException:
            await to_the_end(Deferred.fromCoroutine(self._undo(principal)))
            raise

    async def _undo(self, principal: Principal) -> None:
        """Take away what a spawn that failed has made; its name is free after that."""
        await self._forget(principal.agent_id)
        agent = self._live.get(principal.agent_id)
        if agent is not None:
            agent.never_started()
        else:
            self._registry.remove(principal)
            self._closed(principal)
            self._places.give(principal.family)

    async def _start(self, principal: Principal, request: SpawnRequest, find: Find) -> Agent:
        launch = await self._prepare(principal, request, find)
        restart = Restart(request.restart_policy, request.max_restarts, request.restart_window)
        agent = Agent(
            principal,
            Lifecycle(restart),
            self._logbook(principal),
            clock=self._clock,
            launch=self._in_turn(launch),
            notify=self._notify,
            over=self._over,
            grace=self._limits.grace,
            pace=self._pace,
        )
        self._live[agent.agent_id] = agent
        await agent.start()
        facts = {"pid": agent.pid, "fully_isolated": agent.isolation.get("fully_isolated", False)}
        self._notify(agent, "AGENT_SPAWNED", facts)
        return agent

    def _in_turn(self, launch: Launch) -> Launch:
        """Have restarts wait for their turn as spawns do; the first start has its own already."""

        async def launched(agent: Agent) -> ISandbox:
            if not agent.restarts:
                return await launch(agent)
            async with self._starts.within(Turn(agent.principal.family, agent.parent_id)):
                return await launch(agent)

        return launched

    def _over(self, agent: Agent) -> None:
        self._live.pop(agent.agent_id, None)
        self._registry.remove(agent.principal)
        self._closed(agent.principal)
        self._later(self._clear(agent.principal))
        self._ended.add(agent)

    async def _clear(self, principal: Principal) -> None:
        """Take an ended agent's places away; until then it counts as one."""
        try:
            await self._forget(principal.agent_id)
        finally:
            self._places.give(principal.family)

    # finding

    def records(self) -> Iterator[Agent]:
        """The live agents, oldest first."""
        return iter(list(self._live.values()))

    def find(self, *, agent_id: int | None, name: str | None, ended: bool = False) -> Agent:
        """By id, else by name.

        @param ended: also among ended ones that are remembered, latest first.
        @raise NotFound: there is none.
        """
        if agent_id is not None:
            found = self._live.get(agent_id) or (self._ended.get(agent_id) if ended else None)
        else:
            found = self._named(name, ended)
        if found is None:
            who = f"id {agent_id}" if agent_id is not None else f"name {name!r}"
            raise NotFound(f"no agent with {who}", hint="LIST (clove ps) shows the agents")
        return found

    def _named(self, name: str | None, ended: bool) -> Agent | None:
        for agent in self._live.values():
            if agent.name == name:
                return agent
        return self._ended.named(name) if ended else None

    # the end

    async def stop(self) -> None:
        """Give up the spawns under way; end every agent as KILL does."""
        self._stopping = True
        spawning = list(self._spawning.values())
        for one in spawning:
            one.cancel()
        await DeferredList(spawning)
        live = list(self._live.values())
        for agent in live:
            agent.stop()
        await DeferredList([agent.wait() for agent in live])
