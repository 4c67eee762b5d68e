"""One start of an agent: its mounts as the host is now, its gateway if any, its process; and what came of it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from clove.errors import CloveError, Unavailable
from clove.kernel.launch.limit_hits import LimitWatch
from clove.kernel.launch.memory_limit import MemoryLimit
from clove.kernel.mounts.mount_request import NOTHING, mount_request
from clove.policy import check_main_program
from clove.sandbox.filters_on_demand import load_filters
from clove.sandbox.interface import REMARK
from clove.sandbox.spec import REPORTED

if TYPE_CHECKING:
    from clove.kernel.launch.allocation import Allocation
    from clove.kernel.launch.facilities import Facilities, Gateway
    from clove.kernel.launch.program import Program
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.kernel.mounts.mount_plan import MountPlan
    from clove.kernel.mounts.mount_request import MountRequest
    from clove.kernel.principal import Principal
    from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
    from clove.sandbox.interface import ExitStatus, Output
    from clove.sandbox.running import Sandbox
    from clove.sandbox.spec import Isolation, SandboxSpec
    from clove.sandbox.zygote.child import NewChild

__all__ = ["Launch", "Launched", "Layout", "isolation_report", "what_is_missing"]

UNCOUNTED = (
    "memory that processes share (memfd, MAP_SHARED, System V) is not counted, nor what all of "
    "them have together"
)
UNMAPPED = "memory that no process has mapped (files in /tmp and /dev/shm, memfd) is not counted"
TakeChild = Callable[[], Awaitable["NewChild | None"]]


class Layout(msgspec.Struct, frozen=True):
    """What every start of one agent begins with.

    @ivar spec: its sandbox, without what of the host each start finds anew.
    @ivar fallback: with allow_degraded, where else; see L{Launcher.launch}.
    @ivar warm: it is to be forked from a process that has Python and the client loaded.
    @ivar command: what was asked for, if that was no script.
    """

    spec: SandboxSpec
    fallback: SandboxSpec | None
    program: Program
    limits: ResourceLimits
    warm: bool
    command: tuple[str, ...] = ()


class Launched(msgspec.Struct, frozen=True):
    """What has started.

    @ivar spec: as it was launched.
    @ivar mounted: what its mounts were made from.
    @ivar isolation: what is enforced, as SPAWN's reply gives it.
    @ivar cgroup: path of its cgroup, if it is in one.
    """

    sandbox: Sandbox
    spec: SandboxSpec
    mounted: MountRequest
    isolation: dict[str, Any]
    cgroup: str | None


class Launch:
    """One start.

    @param output: takes what the agent writes.
    @param first: the agent has not run before.
    @param stdin: what it reads, or a descriptor of that.
    """

    def __init__(
        self,
        facilities: Facilities,
        principal: Principal,
        layout: Layout,
        allocation: Allocation,
        output: Output,
        *,
        first: bool,
        stdin: bytes | int = b"",
    ) -> None:
        self._facilities = facilities
        self._principal = principal
        self._layout = layout
        self._allocation = allocation
        self._threads = allocation.threads
        self._cgroup = allocation.cgroup
        self._output = output
        self._first = first
        self._stdin = stdin

    async def start(self, take_child: TakeChild) -> Launched:
        """Start the agent's process; fires when its program runs.

        @param take_child: gives the process that is to become it, if there is one.
        @raise CloveError: it cannot be started; nothing of it is left.
        """
        principal, layout, program = self._principal, self._layout, self._layout.program
        if layout.command:  # its permissions may have been narrowed since the last start
            python = program.interpreter.program
            allowed = check_main_program(principal.permissions, layout.command, python)
            allowed.require(f"SPAWN of {layout.command[0]!r}")
        request = mount_request(principal.permissions, principal.grants or NOTHING)
        with ExitStack() as held:
            spec, plan = await self._facilities.mounts.plan_mounts(
                self._threads,
                request,
                principal.permissions.blocked_paths,
                layout.spec,
                program.interpreter,
                held,
                check=program.check,
                as_found=self._first and program.found_now,
            )
            sandbox = await self._run_watched(spec, take_child)
        isolation = self._report(sandbox, request, plan)
        if "data" not in sandbox.spec.rlimits and not isolation["cgroups"]["memory_limit"]:
            self._watch_memory(sandbox)
        joined = sandbox.isolation.cgroup and self._cgroup is not None
        return Launched(
            sandbox,
            spec,
            request,
            isolation,
            self._cgroup.path if joined and self._cgroup is not None else None,
        )

    async def _run_watched(self, spec: SandboxSpec, take_child: TakeChild) -> Sandbox:
        """Start the process, and see which limit of its cgroup it runs into."""
        cgroup = self._cgroup
        if cgroup is None:
            return await self._run(spec, take_child, None)

        begun: LimitWatch | None = None

        def watch() -> LimitWatch:
            """Of a first start made when that fails or ends: nothing has happened before."""
            return begun or LimitWatch(self._threads, cgroup, self._layout.limits.of_cgroup())

        if not self._first:  # it may have been paused when it ended
            await self._threads.run(cgroup.thaw)
            begun = watch()
            await begun.begin()
        sandbox = await self._run(spec, take_child, watch)
        sandbox.done.addCallback(
            lambda status: Deferred.fromCoroutine(watch().end(status, self._output))
        )
        return sandbox

    async def _run(
        self, spec: SandboxSpec, take_child: TakeChild, watch: Callable[[], LimitWatch] | None
    ) -> Sandbox:
        """Start the process; behind a gateway of its own, if it is to have a network."""
        facilities, sandbox = self._facilities, None
        gateway = None
        if spec.egress is not None:
            gateway = await facilities.open_gateway(
                self._principal, lambda line: self._output(REMARK, line)
            )
        try:
            await load_filters(self._threads)  # while the child is made
            sandbox = await facilities.launcher.launch(
                spec,
                self._output,
                self._layout.fallback,
                None if gateway is None else gateway.adopt,
                await take_child(),
                facilities.threads.of(self._principal.path),
                self._stdin,
            )
        except OSError as error:  # no descriptors, no memory, no processes left
            raise Unavailable(f"no process can be started: {error.strerror}") from None
        except CloveError as error:
            raise (await watch().explain_refusal(error) if watch else error) from None
        finally:
            if sandbox is None and gateway is not None:
                gateway.close()
        if gateway is not None:
            sandbox.done.addCallback(functools.partial(_close_gateway, gateway))
        return sandbox

    def _watch_memory(self, sandbox: Sandbox) -> None:
        """End it when all of its processes have too much together: no part of Linux counts that here."""
        facilities, output = self._facilities, self._output
        self._allocation.memory = MemoryLimit(
            facilities.reactor,
            facilities.bounds.memory_interval,
            self._threads,
            sandbox,
            functools.partial(output, REMARK),
            self._layout.limits.memory,
        )

    def _report(
        self, sandbox: Sandbox, request: MountRequest, plan: MountPlan | None
    ) -> dict[str, Any]:
        limits = self._layout.limits
        isolation = isolation_report(sandbox, self._cgroup, limits.memory)
        if limits.cut:
            isolation["limits_cut"] = {name: getattr(limits, name) for name in sorted(limits.cut)}
        if plan is not None and sandbox.isolation.namespaces.get("mnt"):
            isolation |= plan.report(request, sandbox.isolation)
        return isolation


def _close_gateway(gateway: Gateway, status: ExitStatus) -> ExitStatus:
    gateway.close()
    return status


def isolation_report(sandbox: Any, cgroup: AgentCgroup | None, watched: int = 0) -> dict[str, Any]:
    """What is enforced: what the launcher says, with the cgroup's limits added.

    @param watched: bytes of memory that the kernel looks after where nothing else holds them.
    """
    isolation = sandbox.isolation
    if cgroup is not None and isolation.cgroup:
        isolation = replace(
            isolation,
            memory_limit="memory" in cgroup.applied,
            cpu_quota="cpu" in cgroup.applied,
            pids_limit="pids" in cgroup.applied,
        )
    missing = ""
    if not isolation.fully_isolated:
        missing = what_is_missing(isolation, sandbox.spec.rlimits, sandbox.spec.raisable, watched)
    reasons = (isolation.degraded_reason, missing)
    isolation = replace(isolation, degraded_reason="; ".join(filter(None, reasons)))
    return dict(isolation.to_wire())


def what_is_missing(
    isolation: Isolation,
    rlimits: Mapping[str, int],
    raisable: Collection[str] = (),
    watched: int = 0,
) -> str:
    """Why it is not fully isolated; "" if it is.

    @param rlimits: those of its processes, by getrlimit(2).
    @param raisable: names of those that its processes may raise.
    @param watched: bytes of memory over which it is ended, without a cgroup; 0: it is not.
    """
    instead = _memory(rlimits, "data" in raisable, watched)
    return "; ".join(_missing(isolation, rlimits, instead))


def _missing(isolation: Isolation, rlimits: Mapping[str, int], memory: str) -> Iterator[str]:
    namespaces = [kind for kind in REPORTED if not isolation.namespaces.get(kind)]
    if len(namespaces) == len(REPORTED):
        yield "without namespaces"
    elif namespaces:
        yield f"without a namespace of its own: {', '.join(namespaces)}"
    controllers = {
        "memory": (isolation.memory_limit, memory),
        "cpu": (isolation.cpu_quota, "it may use all processors, at a low priority"),
        "pids": (isolation.pids_limit, _processes(rlimits)),
    }
    for name, (held, instead) in controllers.items():
        if not held:
            yield f"without the cgroup v2 controller {name}: {instead}"


def _memory(rlimits: Mapping[str, int], raised: bool, watched: int) -> str:
    private = rlimits.get("data")
    if private is None and watched:
        return f"it is ended when a look finds that its processes have {watched} bytes together; {UNMAPPED}"
    if private is None:
        return "memory is not limited"
    until = ", until it raises that (ulimit -d)" if raised else ""
    return f"each process may have {private} bytes of private memory (rlimits){until}; {UNCOUNTED}"


def _processes(rlimits: Mapping[str, int]) -> str:
    most = rlimits.get("nproc")
    if most is None:
        return "processes are not limited"
    return f"its user may have {most} processes and threads, Clove's own included (rlimits)"
