"""What this kernel has to provide agents with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from clove.kernel.launch.agent_spec import Host
    from clove.kernel.launch.allocation import UserLeases
    from clove.kernel.launch.disk_limit import DiskWatches
    from clove.kernel.launch.limits import AgentLimits
    from clove.kernel.launch.record import AgentRecord
    from clove.kernel.mounts.mount_planner import MountPlanner
    from clove.kernel.principal import Principal
    from clove.kernel.state_dir import StateDir
    from clove.messages.publishing import PublishedPort, PublishRequest
    from clove.sandbox.cgroup.tree import CgroupTree
    from clove.sandbox.interface import ISandbox
    from clove.sandbox.launcher import Launcher
    from clove.threads.threads import Threads

__all__ = ["Facilities", "Gateway", "PortChange", "PublishedPorts"]


class Gateway(Protocol):
    """What carries the connections of one sandbox."""

    def adopt(self, descriptors: list[int]) -> None:
        """Take the sockets in the sandbox's network."""

    def close(self) -> None:
        """Carry nothing more."""


class PortChange(Protocol):
    """A change of published ports that is judged, and not made yet."""

    def commit(self) -> None:
        """Make it. @raise Unavailable: the agent has ended meanwhile."""

    def abandon(self) -> None:
        """Give it up, unless it is made."""


class PublishedPorts(Protocol):
    """The ports of one agent that are reachable on the host's loopback."""

    def publish(self, asked: Sequence[PublishRequest]) -> None:
        """Publish all of them, or raise L{clove.errors.CloveError} and publish none."""

    def prepare(self, asked: Sequence[PublishRequest], revoked: Sequence[int]) -> PortChange:
        """Judge such a change, with ports of the host that are published no more.

        @raise CloveError: it cannot be made.
        """

    def shown(self) -> list[PublishedPort]:
        """As replies have them."""

    def requests(self) -> list[PublishRequest]:
        """What would publish the same again."""

    def serve(self, sandbox: ISandbox, log: Callable[[bytes], None]) -> None:
        """Connections lead there from now on."""

    def close(self) -> None:
        """The agent has ended."""


class Facilities(msgspec.Struct, frozen=True, kw_only=True):
    """What provisions are made from.

    @ivar threads: do blocking work.
    @ivar state_dir: has the agents' directories and sockets.
    @ivar cgroups: None where there are none.
    @ivar launcher: starts processes.
    @ivar host: what every plan has of this host.
    @ivar bounds: for all agents.
    @ivar mounts: plans what of the host a sandbox shows.
    @ivar listen: opens an agent's own socket at a path; gives the way to close it.
    @ivar open_gateway: opens the gateway of an agent that has a network, with what takes the
        lines of its log.
    @ivar open_ports: gives the published ports of an agent, of which there is none yet, by its family.
    @ivar disks: gives what watches how much of the disk workspaces take.
    @ivar check_reader: raises PermissionDenied for a path of an interpreter that those above
        a recorded agent may not read.
    @ivar users: leases user ids; None for a kernel without root.
    @ivar reactor: for pipes.
    """

    threads: Threads
    state_dir: StateDir
    cgroups: CgroupTree | None
    launcher: Launcher
    host: Host
    bounds: AgentLimits
    mounts: MountPlanner
    listen: Callable[[Principal, str], Awaitable[Callable[[], Deferred[Any]]]]
    open_gateway: Callable[[Principal, Callable[[bytes], None]], Awaitable[Gateway]]
    open_ports: Callable[[int], PublishedPorts]
    disks: Callable[[], DiskWatches]
    check_reader: Callable[[AgentRecord, str], None]
    users: UserLeases | None = None
    reactor: Any = None
