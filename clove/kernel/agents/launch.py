"""Making an agent's places and starting its process in them.

Order: directories and script copy, own socket, cgroup, process. What was made
is taken away again when a later step fails, and when the agent has ended.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.kernel.agents.bounds import within
from clove.kernel.agents.degraded import what_is_missing
from clove.kernel.agents.exhaustion import Watch
from clove.kernel.agents.exposure import NOTHING, Exposure, Wish, wish
from clove.kernel.agents.interpreter import Interpreter, own_interpreter
from clove.kernel.agents.pinned import Pinned
from clove.kernel.agents.plan import (
    Host,
    Limits,
    check_request,
    common_spec,
    own_binds,
    own_uid,
    plan,
    settle_limits,
)
from clove.kernel.agents.profile import Profile, Throwaway, on_host
from clove.kernel.agents.showing import Showing, in_workspace
from clove.kernel.principal import Kind
from clove.kernel.threads import to_the_end
from clove.policy import ports_named
from clove.sandbox.cgroups import CgroupLimits

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent
    from clove.kernel.agents.agents import Find, Launch
    from clove.kernel.agents.settings import AgentLimits
    from clove.kernel.agents.workspace import StateDir, Workspace
    from clove.kernel.gateway import Gateways
    from clove.kernel.principal import Principal
    from clove.kernel.threads import Threads
    from clove.messages.agents import SpawnRequest
    from clove.sandbox.cgroups import AgentCgroup, CgroupTree
    from clove.sandbox.interface import ExitStatus, ISandbox
    from clove.sandbox.launcher import Launcher
    from clove.sandbox.nursery.child import NewChild
    from clove.sandbox.spec import SandboxSpec

__all__ = ["Places", "report"]

OWN_PROCESSES = 2
"""Of every sandbox: process 1 and the main program."""


@dataclass(frozen=True, slots=True)
class _Furnished:
    """An agent's directories, and what is in them.

    @ivar interpreter: what runs its script.
    @ivar script: where its script came from.
    @ivar is_text: the script is not an archive or compiled code, which python runs as well.
    """

    interpreter: Interpreter
    script: str
    workspace: Workspace
    is_text: bool


class Places:
    """What each live agent has on this host."""

    log = Logger()

    def __init__(
        self,
        *,
        threads: Threads,
        state_dir: StateDir,
        cgroups: CgroupTree | None,
        launcher: Launcher,
        host: Host,
        bounds: AgentLimits,
        listen: Callable[[Principal, str], Awaitable[Callable[[], Deferred[Any]]]],
        gateways: Gateways,
        kept: tuple[str, ...] = (),
    ) -> None:
        self._threads = threads
        self._state_dir = state_dir
        self._cgroups = cgroups
        self._launcher = launcher
        self._host = host
        self._bounds = bounds
        self._listen = listen
        self._gateways = gateways
        self._own = own_interpreter()
        self._showing = Showing(state_dir, bounds, host.library, self._own, kept)
        self._workspaces: dict[int, Workspace] = {}
        self._cgroup_of: dict[int, AgentCgroup] = {}
        self._closers: dict[int, Callable[[], Deferred[Any]]] = {}
        self._unborn: dict[int, NewChild | None] = {}
        self._profiles: dict[int, Profile] = {}
        self._lanes: dict[int, Threads] = {}

    def _lane(self, agent_id: int) -> Threads:
        """Where blocking work on an agent's account is done, behind that of its family alone."""
        return self._lanes.get(agent_id, self._threads)

    def common(self) -> SandboxSpec:
        """What all agents under the kernel's own interpreter have in common."""
        return common_spec(self._host, self._own)

    def check(self, request: SpawnRequest, parent: Limits | None = None) -> Limits:
        """Refuse a request that cannot be met here; see L{check_request} and L{within}."""
        limits = within(settle_limits(request.limits, self._bounds), parent)
        check_request(request, self._host, limits, self._bounds)
        return limits

    async def prepare(self, principal: Principal, request: SpawnRequest, find: Find) -> Launch:
        """Make an agent's places; gives the way to launch it, again and again.

        @raise CloveError: something is missing; L{remove} takes the rest away.
        """
        agent_id = principal.agent_id
        limits = principal.limits = self.check(request, principal.limits)
        threads = self._threads.of(principal.family, -agent_id, bounded=False)
        self._lanes[agent_id] = threads
        # A warm one has its processes before it has its limits: no fork would be refused.
        fits = limits.max_pids <= 0 or limits.max_pids >= OWN_PROCESSES
        warm = request.warm and request.sandboxed and fits
        seating = Deferred.fromCoroutine(self._seat(agent_id, limits, warm=warm))
        try:
            furnished = await self._furnish(principal, request, find)
        except BaseException:
            await to_the_end(DeferredList([seating], consumeErrors=True))
            raise
        cgroup = await seating
        workspace = furnished.workspace
        child = None if furnished.is_text else self._unborn.pop(agent_id, None)
        if child is not None:
            child.abandon()
        warm = warm and furnished.is_text
        drawn = functools.partial(
            plan,
            agent_id=agent_id,
            host=self._host,
            limits=limits,
            bounds=self._bounds,
            interpreter=furnished.interpreter,
            script=furnished.script,
            script_copy=workspace.script,
            home=workspace.home,
            socket=workspace.socket,
            cgroup_procs=cgroup.procs_path if cgroup is not None else None,
            egress=ports_named(principal.permissions),
        )
        spec = drawn(request)
        fallback = None
        if request.sandboxed and request.allow_degraded:
            fallback = drawn(msgspec.structs.replace(request, sandboxed=False))

        async def launch(agent: Agent) -> ISandbox:
            principal.view = None  # of the run before: what the next one asks waits for its own
            wished = wish(principal.permissions, principal.grants or NOTHING)
            blocked, first = principal.permissions.blocked_paths, not agent.restarts
            pinned = Pinned()
            try:
                placed, exposure = await self._showing.look(
                    threads, wished, blocked, spec, furnished.interpreter, pinned, first=first
                )
                made = exposure.apply(placed)
                return await start(agent, wished, made, exposure)
            finally:
                pinned.close()

        async def start(
            agent: Agent, wished: Wish, made: SandboxSpec, exposure: Exposure
        ) -> ISandbox:
            watch = None
            if cgroup is not None:
                if agent.restarts:  # it may have been paused when it ended
                    await threads.run(cgroup.thaw)
                watch = Watch(threads, cgroup, _cgroup_limits(limits))
                if agent.restarts:
                    await watch.begin()
            gateway = self._gateways.open(principal, lambda line: agent.logbook.take(2, line))
            sandbox = None
            child = self._unborn.pop(agent_id, None)
            if child is None and warm and agent.restarts:
                child = await self._launcher.fork(cgroup)
            try:
                sandbox = await self._launcher.launch(
                    made,
                    agent.logbook.take,
                    fallback,
                    gateway.adopt,
                    child,
                    self._threads.of(principal.family, agent_id),
                )
            except OSError as error:  # no descriptors, no memory, no processes left
                raise Unavailable(f"no process can be started: {error.strerror}") from None
            except CloveError as error:
                raise (await watch.refuse(error) if watch is not None else error) from None
            finally:
                if sandbox is None:
                    gateway.close()

            def ended(status: ExitStatus) -> ExitStatus:
                gateway.close()
                return status

            sandbox.done.addCallback(ended)
            self._threads.run(self._state_dir.make_spare).addErrback(lambda _: None)
            principal.shown = wished
            self._profiles[agent_id] = Profile(made, spec.binds, fallback, limits)
            inside = cgroup is not None and sandbox.isolation.cgroup
            agent.cgroup = cgroup.path if cgroup is not None and inside else None
            agent.isolation = report(sandbox, cgroup)
            if limits.cut:
                cut = {field: getattr(limits, field) for field in sorted(limits.cut)}
                agent.isolation["limits_cut"] = cut
            agent.warm = sandbox.warm
            if sandbox.isolation.namespaces.get("mnt"):
                landlock = sandbox.isolation.landlock
                agent.isolation |= exposure.report(wished, landlock=landlock)
            agent.logbook.hold = sandbox.hold_output
            if watch is not None:
                take, end = agent.logbook.take, watch.end
                sandbox.done.addCallback(lambda status: Deferred.fromCoroutine(end(status, take)))
            principal.view = sandbox  # the last: whoever waits for it goes on here
            return sandbox

        return launch

    async def _furnish(self, principal: Principal, request: SpawnRequest, find: Find) -> _Furnished:
        """An agent's socket, and its directories with its script."""
        agent_id = principal.agent_id
        finding = Deferred.fromCoroutine(find())
        try:
            self._closers[agent_id] = await self._listen(
                principal, self._state_dir.socket(agent_id)
            )
        except BaseException:
            finding.addCallbacks(lambda found: found.close(), lambda _: None).cancel()
            raise
        script = await finding
        workspace = self._state_dir.workspace(agent_id, os.path.basename(script.path))
        self._workspaces[agent_id] = workspace
        uid = own_uid(agent_id, self._host, self._bounds)
        child = self._unborn.get(agent_id)

        def furnish() -> _Furnished:
            source = script.load()
            places = in_workspace(script.interpreter) if request.sandboxed else {}
            workspace.create(source, uid, self._state_dir.take_spare(), places)
            if child is not None:
                child.open_ahead(own_binds(workspace.script, workspace.home, workspace.socket))
            is_text = b"\0" not in source
            return _Furnished(script.interpreter, script.path, workspace, is_text)

        try:
            return await to_the_end(self._lane(agent_id).run(furnish))
        except OSError as error:
            raise Unavailable(f"the agent's directories cannot be made: {error.strerror}") from None
        finally:
            script.close()

    async def throwaway(self, principal: Principal, number: int) -> Throwaway:
        """Places like a principal's, for another program.

        @param number: an id that nobody has; L{remove} takes what belongs to it away.
        @raise Unavailable: it does not run, or there is no room.
        """
        if principal.kind is not Kind.AGENT:
            return on_host(self._host, principal.cwd)
        profile = self._profiles.get(principal.agent_id)
        if profile is None:
            raise Unavailable("the agent has no sandbox now", hint="try again when it runs")
        threads = self._threads.of(principal.family, -number, bounded=False)
        self._lanes[number] = threads
        cgroup = await self._make_cgroup(number, profile.limits)
        return await threads.run(profile.again, cgroup)

    async def _seat(self, agent_id: int, limits: Limits, *, warm: bool) -> AgentCgroup | None:
        """An agent's cgroup, and where it starts warm the process that is to become it."""
        child = self._launcher.spare() if warm else None
        if child is not None:
            self._unborn[agent_id] = child
            return await self._make_cgroup(agent_id, limits, child.cgroup)
        cgroup = await self._make_cgroup(agent_id, limits)
        if warm:
            self._unborn[agent_id] = await self._launcher.fork(cgroup)
        return cgroup

    async def _make_cgroup(
        self, agent_id: int, limits: Limits, there: AgentCgroup | None = None
    ) -> AgentCgroup | None:
        """Make a cgroup, or give limits to the one that is there."""
        if self._cgroups is None:
            return None
        wanted = _cgroup_limits(limits)
        if there is not None:
            self._cgroup_of[agent_id] = there

        def create(cgroups: CgroupTree) -> AgentCgroup:
            made = cgroups.limit(there, wanted) if there else cgroups.create(agent_id, wanted)
            self._cgroup_of[agent_id] = made
            return made

        try:
            return await to_the_end(self._lane(agent_id).run(create, self._cgroups))
        except OSError as error:
            raise Unavailable(f"the agent's cgroup cannot be made: {error.strerror}") from None

    async def remove(self, agent_id: int) -> None:
        """Take an agent's places away. Logs what could not be removed."""
        child = self._unborn.pop(agent_id, None)
        if child is not None:
            child.abandon()
        closer = self._closers.pop(agent_id, None)
        cgroup = self._cgroup_of.pop(agent_id, None)
        workspace = self._workspaces.pop(agent_id, None)
        self._profiles.pop(agent_id, None)
        threads = self._lanes.pop(agent_id, self._threads)
        if closer is not None:
            await closer()
        for place in (cgroup, workspace):
            try:
                if place is not None:
                    await threads.run(place.remove)
            except (OSError, CloveError) as error:
                self.log.warn("agent {id} left something behind: {error}", id=agent_id, error=error)


def _cgroup_limits(limits: Limits) -> CgroupLimits:
    return CgroupLimits(
        memory=limits.memory,
        max_pids=limits.max_pids,
        cpu_quota=limits.cpu_quota,
        cpu_period=limits.cpu_period,
        cpu_shares=limits.cpu_shares,
    )


def report(sandbox: Any, cgroup: AgentCgroup | None) -> dict[str, Any]:
    """The truth about isolation: the launcher's, with the cgroup's added."""
    isolation = sandbox.isolation
    if cgroup is not None and isolation.cgroup:
        isolation = replace(
            isolation,
            memory_limit="memory" in cgroup.applied,
            cpu_quota="cpu" in cgroup.applied,
            pids_limit="pids" in cgroup.applied,
        )
    missing = what_is_missing(isolation, sandbox.spec.rlimits)
    reasons = (isolation.degraded_reason, missing)
    isolation = replace(isolation, degraded_reason="; ".join(filter(None, reasons)))
    return dict(isolation.to_wire())
