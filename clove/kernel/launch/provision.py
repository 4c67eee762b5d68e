"""What one agent has on this host, from its SPAWN until nothing of it is left.

Order: user id, cgroup and preforked child beside socket, directories and script; then the process,
again and again. What was made is taken away when a later step fails, and when the agent has ended.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList, DeferredLock

from clove.errors import Unavailable
from clove.kernel.launch.agent_spec import agent_spec, own_binds
from clove.kernel.launch.agent_stdin import AgentStdin, open_stream
from clove.kernel.launch.allocation import Allocation
from clove.kernel.launch.launch import Launch, Launched, Layout
from clove.kernel.launch.limit_changes import apply_now
from clove.kernel.launch.profile import Profile
from clove.kernel.launch.program import ProgramRecord
from clove.kernel.launch.request_checks import check_request, with_ports
from clove.kernel.launch.resource_limits import changed, check_children
from clove.kernel.mounts.mount_planner import in_workspace
from clove.kernel.state_dir import Workspace
from clove.policy import ports_named
from clove.sandbox.interface import REMARK
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from clove.kernel.launch.facilities import Facilities, PublishedPorts
    from clove.kernel.launch.program import Find, Program
    from clove.kernel.launch.record import AgentRecord
    from clove.kernel.launch.resource_limits import Children, ResourceLimits
    from clove.kernel.principal import Principal
    from clove.messages.agents import LimitsRequest, SpawnRequest
    from clove.sandbox.interface import Output
    from clove.sandbox.running import Sandbox
    from clove.sandbox.spec import SandboxSpec
    from clove.sandbox.zygote.child import NewChild

__all__ = ["Provision"]

OWN_PROCESSES = 2
"""Of every sandbox: process 1 and the main program."""


class Provision:
    """One agent's.

    @param record: what it is started from.
    @param limits: its limits, as they were settled.
    @ivar profile: of its last start; None before the first.
    @ivar stdin: what it reads, where that is a stream.
    @ivar ports: its published ones; None: it has had none.
    @ivar end: ends the agent whose workspace is over its limit; None before it runs.
    """

    def __init__(
        self,
        facilities: Facilities,
        principal: Principal,
        record: AgentRecord,
        limits: ResourceLimits,
    ) -> None:
        self.profile: Profile | None = None
        self._facilities = facilities
        self._principal = principal
        self._given = record
        self._limits = limits
        self._uid = record.uid
        self._program = record.program
        self._allocation = Allocation(facilities, principal.agent_id, principal.family)
        self._workspace: Workspace | None = None
        self._close_socket: Callable[[], Deferred[Any]] | None = None
        self._layout: Layout | None = None
        self._sandbox: Sandbox | None = None
        self.stdin: AgentStdin | None = None
        self.ports: PublishedPorts | None = None
        self.end: Callable[[], None] | None = None
        self._say: Callable[[bytes], None] = lambda line: None
        # A warm one has its processes before it has its limits: no fork would be refused.
        fits = limits.max_pids <= 0 or limits.max_pids >= OWN_PROCESSES
        asked = record.request
        self._warm = asked.warm and asked.sandboxed and asked.tty is None and fits

    @property
    def record(self) -> AgentRecord:
        """What it can be started from anew, with the permissions that it has now."""
        principal = self._principal
        return self._given.replace(
            request=with_ports(self._given.request, self.ports.requests() if self.ports else ()),
            permissions=principal.permissions,
            grants=principal.grants,
            limits=self._limits,
            uid=self._uid,
            program=self._program,
        )

    async def update_limits(
        self, asked: LimitsRequest, bounds: Sequence[ResourceLimits], children: Children = tuple
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Change what its processes may use. @see: L{Launches.update_limits}."""
        facilities, given = self._facilities, self._given.request
        async with self._updating:
            limits = changed(self._limits, asked, bounds)
            check_children(self._limits, limits, children())
            check_request(given, facilities.host.controllers, limits, facilities.bounds)
            now = await apply_now(self._allocation, limits)
            if self._layout is not None and self._workspace is None:
                raise Unavailable(f"agent {self._principal.agent_id} has ended meanwhile")
            named = self._limits.named | limits.named
            self._limits = replace(limits, named=named)
            self._principal.limits = self._limits
            if self._layout is not None:  # of the next start
                self._lay_out(self._layout.program)
        return limits.named, now

    @functools.cached_property
    def _updating(self) -> DeferredLock:
        """One change at a time."""
        return DeferredLock()

    def _over_disk(self, line: bytes) -> None:
        self._say(line)
        if self.end is not None:
            self.end()

    def open_ports(self) -> PublishedPorts:
        """Made for the first, as most agents have none. @see: L{Launches.open_ports}."""
        if self._allocation.stopped:
            raise Unavailable(f"agent {self._principal.agent_id} has ended")
        if self.ports is None:
            self.ports = self._facilities.open_ports(self._principal.family)
            if self._sandbox is not None:
                self.ports.serve(self._sandbox, self._say)
        return self.ports

    def rename(self, name: str) -> None:
        """Its record has this name from now on."""
        self._given = self._given.replace(request=replace(self._given.request, name=name))

    async def prepare(self, find: Find) -> None:
        """Make all that a start needs; what can be done at the same time, is.

        @raise CloveError: something cannot be had; L{release} takes the rest away.
        """
        request = self._given.request
        if request.publish:
            self.open_ports().publish(request.publish)
        if request.stdin == "stream" or request.tty is not None:
            self.stdin = open_stream(self._facilities.reactor, request)
        if request.sandboxed:
            self._uid = self._allocation.lease_user(self._uid)
        allocating = Deferred.fromCoroutine(
            self._allocation.allocate(self._limits, warm=self._warm)
        )
        try:
            program = await self.populate(find)
        except BaseException:
            await to_the_end(DeferredList([allocating], consumeErrors=True))
            raise
        await allocating
        self._lay_out(program)

    async def populate(self, find: Find) -> Program:
        """Its socket, and its directories with its script; gives the program that was found.

        @raise CloveError: there is no such program, or something cannot be made.
        """
        state_dir, principal = self._facilities.state_dir, self._principal
        finding = Deferred.fromCoroutine(find())
        try:
            socket = state_dir.socket(principal.agent_id)
            self._close_socket = await self._facilities.listen(principal, socket)
        except BaseException:
            finding.addCallbacks(lambda found: found.close(), lambda _: None).cancel()
            raise
        program = await finding
        try:
            name, allocation = os.path.basename(program.path), self._allocation
            self._workspace = workspace = Workspace.of_agent(state_dir, principal.agent_id, name)
            if self._given.request.sandboxed:
                most, over = self._limits.disk, self._over_disk
                allocation.limit_disk(principal.path, workspace.home, most, over)
            filling = allocation.threads.run(self._fill, workspace, program, allocation.child)
            recorded, forkable = await to_the_end(filling)
        except OSError as error:
            raise Unavailable(f"the agent's directories cannot be made: {error.strerror}") from None
        finally:
            program.close()
        self._program = recorded
        self._warm = self._warm and forkable
        return program

    def _fill(
        self, workspace: Workspace, program: Program, child: NewChild | None
    ) -> tuple[ProgramRecord, bool]:
        """Make the directories, with the script in them. Blocking.

        @return: the program's record, and whether it can be started warm: a script that is text,
            or a command (of which inside is seen whether it is such a script).
        """
        sandboxed, script = self._given.request.sandboxed, program.load()
        mount_points = in_workspace(program.interpreter) if sandboxed else {}
        ready = self._facilities.state_dir.take_made_ahead()
        workspace.create(script, self._uid, ready, mount_points)
        if self._allocation.disk is not None:
            self._allocation.disk.begin()
        if child is not None:
            child.open_ahead(own_binds(workspace.script, workspace.home, workspace.socket))
        forkable = script is None or b"\0" not in script
        return ProgramRecord.of_program(program, script), forkable

    def _lay_out(self, program: Program) -> None:
        """Settle what every start begins with."""
        request = self._given.request
        if not self._warm:
            self._allocation.abandon_child()
        fallback = None
        if request.sandboxed and request.allow_degraded:
            fallback = self._spec_of(replace(request, sandboxed=False), program)
        spec = self._spec_of(request, program)
        command = tuple(request.command or ())
        self._layout = Layout(spec, fallback, program, self._limits, self._warm, command)

    def _spec_of(self, request: SpawnRequest, program: Program) -> SandboxSpec:
        workspace, cgroup = self._workspace, self._allocation.cgroup
        assert workspace is not None
        return agent_spec(
            request,
            self._principal.agent_id,
            host=self._facilities.host,
            limits=self._limits,
            bounds=self._facilities.bounds,
            interpreter=program.interpreter,
            script=program.path,
            script_copy=workspace.script,
            home=workspace.home,
            socket=workspace.socket,
            cgroup_procs=cgroup.procs_path if cgroup is not None else None,
            uid=self._uid,
            egress=ports_named(self._principal.permissions) if request.network else (),
        )

    async def launch(self, output: Output, *, first: bool) -> Launched:
        """Start its process; the first time, and after each end of it.

        @param output: takes what it writes.
        @raise CloveError: it cannot be started; what it has on the host stays.
        """
        principal, layout, facilities = self._principal, self._layout, self._facilities
        assert layout is not None
        principal.view = None  # of the run before: what the next one asks waits for its own
        given = self._given.request.stdin
        stdin = b"" if isinstance(given, str) else given.text.encode()
        launch = Launch(
            facilities,
            principal,
            layout,
            self._allocation,
            output,
            first=first,
            stdin=stdin if self.stdin is None else self.stdin.reader,
        )
        forks = self._warm and not first
        launched = await launch.start(functools.partial(self._allocation.take_child, forks=forks))
        if self.stdin is not None and launched.sandbox.outputs.terminal is not None:
            self.stdin.type_into(launched.sandbox.outputs.terminal)
        facilities.threads.run(facilities.state_dir.make_ahead).addErrback(lambda _: None)
        own, fallback = layout.spec.binds, layout.fallback
        python = layout.program.interpreter.program
        self.profile = Profile(launched.spec, own, fallback, layout.limits, python)
        principal.mounted = launched.mounted
        self._say = functools.partial(output, REMARK)
        self._sandbox = launched.sandbox
        if self.ports is not None:
            self.ports.serve(launched.sandbox, self._say)
        if (disk := self._allocation.disk) is not None:
            launched.isolation["disk"] = disk.how
            disk.watch()
        principal.view = launched.sandbox  # the last: what waits for it goes on here
        return launched

    async def release(self) -> None:
        """Take all of it away. Idempotent; logs what could not be removed."""
        self._allocation.stop()  # whatever is published from now on is refused
        if self.ports is not None:
            self.ports.close()
        close, self._close_socket = self._close_socket, None
        workspace, self._workspace = self._workspace, None
        self.profile = None
        if self.stdin is not None:
            self.stdin.close()
        if close is not None:
            await close()
        await self._allocation.release(workspace)
