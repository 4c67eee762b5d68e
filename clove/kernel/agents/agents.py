"""All agents: spawning, finding, ending them."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList

from clove.errors import AlreadyExists, LimitExceeded, Unavailable
from clove.kernel.agents.agent import Agent
from clove.kernel.agents.end_limiter import EndLimiter
from clove.kernel.agents.known_agents import KnownAgents
from clove.kernel.agents.lifecycle import Lifecycle
from clove.kernel.agents.restart import restart_policy
from clove.kernel.agents.starts import end_at_bounds, principal_of, shown_command
from clove.kernel.launch.record import AgentRecord
from clove.kernel.mounts.mount_request import NOTHING
from clove.kernel.registry import check_name
from clove.sharing.fair_queue import FairQueue
from clove.sharing.fair_semaphore import FairSemaphore
from clove.sharing.shares import OPERATORS, ShareLimits, Shares
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.kernel.agents.starts import Launches, Prepare
    from clove.kernel.launch.launch import Launched
    from clove.kernel.launch.limits import AgentLimits
    from clove.kernel.launch.program import Find
    from clove.kernel.logs.logbook import Logbook
    from clove.kernel.mounts.mount_request import Grants
    from clove.kernel.principal import Principal
    from clove.kernel.registry import Registry
    from clove.messages.agents import SpawnRequest
    from clove.policy import Permissions

__all__ = ["Agents"]


class Agents:
    """The spawned agents of this kernel.

    @ivar prepare: makes what an agent has on the host, given its record and what finds its
        program; without that, from the record alone.
    @ivar release: takes it away.
    @ivar later: does background work.
    @ivar known: the agents that live, and those that ended last.
    @param logbook: makes one for a name, a family and an agent's id.
    @param set_log_aside: the agent of a name has another one now, and writes to its file still.
    """

    def __init__(
        self,
        clock: IReactorTime,
        registry: Registry,
        limits: AgentLimits,
        *,
        prepare: Prepare,
        release: Callable[[int], Awaitable[None]],
        later: Callable[[Awaitable[None]], None],
        logbook: Callable[[str, int, int], Logbook],
        notify: Callable[[Agent, str, dict[str, Any]], None],
        opened: Callable[[Principal], None],
        closed: Callable[[Principal], None],
        set_log_aside: Callable[[str], None] = lambda name: None,
        shares: ShareLimits | None = None,
    ) -> None:
        shares = shares or ShareLimits()
        self._clock = clock
        self._registry = registry
        self._limits = limits
        self._prepare = prepare
        self._release = release
        self._later = later
        self._logbook = logbook
        self._notify = notify
        self._set_log_aside = set_log_aside
        self._opened = opened
        self._closed = closed
        self._spawning: dict[int, Deferred[Agent]] = {}
        self.known = KnownAgents(limits.ended, limits.ended_output, shares)
        self._ends = EndLimiter(clock, limits.ends_at_once, limits.end_turn)
        self._counted = Shares("agents", "limits.agents.max_agents", limits.max_agents, shares)
        self._starts = FairSemaphore(clock, FairQueue.shared(limits.spawns_at_once, shares))
        self._releasing: set[int] = set()
        self._stopping = False
        self.script_limit = limits.script

    # starting

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
        @param find: finds its program, in its turn.
        @param grants: paths of the host that its parent grants by name.
        @raise AlreadyExists: the name is in use by a live agent.
        @raise LimitExceeded: too many agents live, or too many spawns wait.
        @raise IsolationUnavailable: what was asked for cannot be had here.
        @raise CloveError: the script cannot be read.
        """
        self._check_serving()
        agent_id = self._registry.new_id()
        record = AgentRecord(
            agent_id=agent_id,
            ancestors=(parent.agent_id, *parent.ancestors),
            family=agent_id if parent.is_operator else parent.family,
            request=request,
            permissions=permissions,
            network=bool(request.network) or not request.sandboxed,
            grants=grants if request.sandboxed else None,
        )
        principal = principal_of(record, parent.limits)
        return await self._start_counted(principal, record, find, parent.path)

    async def restore(self, record: AgentRecord) -> Agent:
        """Start an agent anew from its record alone, under its id.

        It counts as a request of operators, whichever principal spawned it.

        @raise AlreadyExists: it lives, its directories are still removed, or its name is in use.
        @raise CloveError: as L{spawn} raises it; or its script is not there any more.
        """
        self._check_serving()
        agent_id = record.agent_id
        if agent_id in self._releasing or self._registry.get(agent_id) is not None:
            raise AlreadyExists(f"agent {agent_id} lives, or its directories are not removed yet")
        return await self._start_counted(principal_of(record), record, None, (OPERATORS,))

    def _check_serving(self) -> None:
        if self._stopping:
            raise Unavailable("the kernel is stopping")

    async def _start_counted(
        self,
        principal: Principal,
        record: AgentRecord,
        find: Find | None,
        requester: tuple[int, ...],
    ) -> Agent:
        """Start it within the bounds of all agents.

        @param requester: where in the fair queue its start stands.
        """
        self._check_bounds(principal, requester)
        self._registry.add(principal)
        self._counted.add(principal.family)
        self._opened(principal)
        spawning = Deferred.fromCoroutine(self._start_in_turn(principal, record, find, requester))
        self._spawning[principal.agent_id] = spawning
        try:
            return await spawning
        finally:
            self._spawning.pop(principal.agent_id, None)

    def _check_bounds(self, principal: Principal, requester: tuple[int, ...]) -> None:
        """@raise LimitExceeded: there is no room for one more agent of this requester."""
        if len(principal.ancestors) > self._limits.max_depth:
            raise LimitExceeded(
                f"agents spawn each other {self._limits.max_depth} deep at most",
                hint="have an ancestor spawn it, or raise limits.agents.max_depth",
            )
        refusal = self._counted.refusal(requester[0])
        if refusal is not None:
            raise refusal
        if self._starts.waiting(requester[:1]) >= self._limits.spawns_waiting:
            raise LimitExceeded(
                "too many spawns of your family of agents wait", hint="await some of them first"
            )

    async def _start_in_turn(
        self,
        principal: Principal,
        record: AgentRecord,
        find: Find | None,
        requester: tuple[int, ...],
    ) -> Agent:
        """Start it in its turn; whatever goes wrong, or is cancelled, leaves nothing."""
        try:
            async with self._starts.permit(requester):
                provision = await self._prepare(principal, record, find)
                return await self._start(principal, record.request, provision)
        except BaseException:
            await to_the_end(Deferred.fromCoroutine(self._undo_start(principal)))
            raise

    async def _undo_start(self, principal: Principal) -> None:
        """Take away what a start that failed has made; its name is free after that."""
        await self._release(principal.agent_id)
        agent = self.known.get_live(principal.agent_id)
        if agent is not None:
            agent.never_started()
        else:
            self._registry.remove(principal)
            self._closed(principal)
            self._counted.give(principal.family)

    async def _start(
        self, principal: Principal, request: SpawnRequest, provision: Launches
    ) -> Agent:
        policy = restart_policy(
            request.restart_policy, request.max_restarts, request.restart_window
        )
        agent = Agent(
            principal,
            Lifecycle(policy),
            self._logbook(principal.name, principal.family, principal.agent_id),
            clock=self._clock,
            launch=functools.partial(self._launch, provision),
            notify=self._notify,
            over=self._end,
            grace=self._limits.grace,
            ends=self._ends,
            command=shown_command(request),
        )
        agent.request, agent.provision = request, provision
        agent.labels, agent.forget = request.labels or {}, request.forget
        agent.stdin = provision.stdin
        self.known.add(agent)
        if request.attach:
            agent.logbook.attach_point.reserve()
        await agent.start()
        end_at_bounds(self._clock, agent, request.timeout)
        facts = {"pid": agent.pid, "fully_isolated": agent.isolation.get("fully_isolated", False)}
        self._notify(agent, "AGENT_SPAWNED", facts)
        return agent

    async def _launch(self, provision: Launches, agent: Agent) -> Launched:
        """Launch an agent; restarts wait for their turn as spawns do, which have theirs already."""
        output = agent.logbook.append_output
        if not agent.restarts:
            return await provision.launch(output, first=True)
        path = agent.principal.path
        async with self._starts.permit(path[:-1] or path):  # in its parent's turn
            return await provision.launch(output, first=False)

    def _end(self, agent: Agent) -> None:
        self._registry.remove(agent.principal)
        self._closed(agent.principal)
        self._later(self._release_ended(agent.principal))
        self.known.end(agent)

    async def _release_ended(self, principal: Principal) -> None:
        """Take away what an ended agent has; until then it counts as one."""
        self._releasing.add(principal.agent_id)
        try:
            await self._release(principal.agent_id)
        finally:
            self._releasing.discard(principal.agent_id)
            self._counted.give(principal.family)

    def rename(self, agent: Agent, name: str, *, operator: bool) -> None:
        """Give an agent another name, also one that has ended.

        @param operator: an operator chose the name.
        @raise AlreadyExists: a live principal bears it.
        @raise InvalidRequest: it cannot be the name of an agent.
        """
        if agent.lifecycle.over:
            agent.name = check_name(name)
            return
        old = agent.name
        self._registry.rename_agent(agent.principal, name, operator=operator)
        if agent.provision is not None:
            agent.provision.rename(name)
        agent.name = name
        self._set_log_aside(old)

    async def stop(self) -> None:
        """Give up the spawns under way; end every agent as KILL does."""
        self._stopping = True
        spawning = list(self._spawning.values())
        for one in spawning:
            one.cancel()
        await DeferredList(spawning)
        live = list(self.known.live())
        for agent in live:
            agent.stop()
        await DeferredList([agent.wait() for agent in live])

    # finding

    def records(self) -> Iterator[Agent]:
        """The live agents, oldest first."""
        return self.known.live()

    def find(self, *, agent_id: int | None, name: str | None, ended: bool = False) -> Agent:
        """By id, else by name; see L{KnownAgents.find}."""
        return self.known.find(agent_id=agent_id, name=name, ended=ended)
