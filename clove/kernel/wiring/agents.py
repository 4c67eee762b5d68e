"""Agents: their life, what they have on the host, their output, and dry runs as them."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from clove.kernel.agents import Agents
from clove.kernel.agents.ancestry import AgentFinder
from clove.kernel.calls.scripts import check_recorded_readers
from clove.kernel.dry_run import DryRunsOnDemand
from clove.kernel.launch.agent_spec import Host
from clove.kernel.launch.allocation import UserLeases
from clove.kernel.launch.facilities import Facilities
from clove.kernel.launch.launch import isolation_report
from clove.kernel.launch.provisioner import Provisioner
from clove.kernel.logs.log_files import LogFiles
from clove.kernel.mounts.mount_planner import MountPlanner
from clove.sandbox.cgroup.tree import CgroupsUnavailable, CgroupTree
from clove.sandbox.environment import public_environment
from clove.sandbox.zygote.ids import IdRange
from clove.sandbox.zygote.zygote import Zygote

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from clove.kernel.dry_run.dry_runs import DryRuns
    from clove.kernel.launch.disk_limit import DiskWatches
    from clove.kernel.network.gateway import Gateways
    from clove.kernel.principal import Principal
    from clove.kernel.wiring.foundation import Foundation
    from clove.kernel.wiring.lifetimes import Lifetimes
    from clove.kernel.wiring.network import Network

__all__ = ["AgentParts", "Listen"]

Listen = Callable[["Principal", str], Awaitable[Callable[[], "Deferred[Any]"]]]
"""Opens an agent's own socket at a path; gives the way to close it."""


class AgentParts:
    """What makes agents. Making it takes the kernel's cgroups, and starts nothing.

    @param kept: files and directories that no agent may change.
    @ivar cgroups: None where there are none.
    @ivar finder: finds the agent of a process.
    """

    log = Logger()

    def __init__(
        self,
        foundation: Foundation,
        network: Network,
        lifetimes: Lifetimes,
        listen: Listen,
        kept: tuple[str, ...],
    ) -> None:
        self._foundation = foundation
        limits, threads = foundation.limits, foundation.threads
        users = IdRange(limits.agents.uid_base) if os.geteuid() == 0 else None
        self.cgroups = self._find_cgroups(users.zygote if users is not None else None)
        self.provisioner = self._make_provisioner(network, listen, kept, users)
        self.zygote = foundation.launcher.zygote = Zygote(
            foundation.reactor,
            threads,
            foundation.config.zygote,
            self.provisioner.common_spec,
            sys.executable,
            users,
            self.cgroups,
            foundation.id_maps,
        )
        self.log_files = self._make_log_files()
        self.agents = self._make_agents(lifetimes)
        self.finder = AgentFinder(
            self.agents.records,
            foundation.launcher.host_commands,
            other_namespaces=foundation.config.access.other_namespaces,
            most=limits.connection.max_ancestors,
        )
        self.dry_runs = DryRunsOnDemand(
            foundation.import_later, functools.partial(self._make_dry_runs, network.gateways)
        )

    def _make_log_files(self) -> LogFiles:
        foundation, limits = self._foundation, self._foundation.limits
        return LogFiles(
            foundation.state_dir.logs,
            foundation.threads,
            limits.logs,
            limits.shares,
            foundation.wall,
            foundation.reactor,
            foundation.loop_time.of,
            foundation.pumps,
        )

    def _find_cgroups(self, spawner_uid: int | None) -> CgroupTree | None:
        """The kernel's cgroup subtree, or None where it can have none.

        @param spawner_uid: the user id of the zygote, which makes agents' processes as well.
        """
        try:
            return CgroupTree.find(spawner_uid=spawner_uid)
        except CgroupsUnavailable as error:
            self.log.info(
                "agents get no cgroups: {reason} ({remedy})",
                reason=error.reason,
                remedy=error.remedy,
            )
            return None

    def _make_provisioner(
        self, network: Network, listen: Listen, kept: tuple[str, ...], users: IdRange | None
    ) -> Provisioner:
        foundation, cgroups = self._foundation, self.cgroups
        library, bounds = foundation.library, foundation.agent_bounds
        own_authorities = bool(foundation.config.egress.ca_file)
        host = Host(
            library=library,
            controllers=frozenset(cgroups.controllers if cgroups else ()),
            root=os.geteuid() == 0,
            environ=public_environment(os.environ),
            cwd=os.getcwd(),
            authorities=foundation.state_dir.authorities if own_authorities else "",
        )
        mounts = MountPlanner(
            foundation.state_dir,
            library,
            kept,
            mounts=bounds.exposed_mounts,
            entries=bounds.exposed_entries,
            id_maps=foundation.id_maps,
            owned_entries=bounds.owned_entries,
        )
        facilities = Facilities(
            threads=foundation.threads,
            state_dir=foundation.state_dir,
            cgroups=cgroups,
            launcher=foundation.launcher,
            host=host,
            bounds=bounds,
            mounts=mounts,
            listen=listen,
            open_gateway=network.open_gateway,
            open_ports=network.publisher.open,
            disks=functools.cache(self._make_disk_watches),
            check_reader=functools.partial(check_recorded_readers, foundation.registry),
            users=UserLeases(users) if users is not None else None,
            reactor=foundation.reactor,
        )
        return Provisioner(facilities)

    def _make_disk_watches(self) -> DiskWatches:
        from clove.kernel.launch.disk_limit import DiskWatches

        foundation = self._foundation
        return DiskWatches(foundation.reactor, foundation.agent_bounds, foundation.limits.shares)

    def _make_agents(self, lifetimes: Lifetimes) -> Agents:
        foundation = self._foundation
        return Agents(
            foundation.reactor,
            foundation.registry,
            foundation.limits.agents,
            prepare=self.provisioner.prepare,
            release=self.provisioner.release,
            later=foundation.background.start,
            logbook=self.log_files.logbook,
            notify=lifetimes.report,
            opened=lifetimes.open,
            closed=lifetimes.close,
            set_log_aside=self.log_files.set_aside,
            shares=foundation.limits.shares,
        )

    def _make_dry_runs(self, gateways: Gateways) -> DryRuns:
        from clove.kernel.dry_run.dry_runs import DryRuns

        foundation = self._foundation
        return DryRuns(
            foundation.reactor,
            foundation.launcher,
            gateways,
            foundation.limits.dry_run,
            library=foundation.library,
            clone=self.provisioner.clone,
            release=self.provisioner.release,
            report=isolation_report,
        )
