"""Provides agents with what they have on this host, and dry runs with clones of it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.launch.agent_spec import common_spec
from clove.kernel.launch.allocation import Allocation
from clove.kernel.launch.profile import clone_of_host
from clove.kernel.launch.program import RecordedProgram
from clove.kernel.launch.provision import Provision
from clove.kernel.launch.request_checks import check_request
from clove.kernel.launch.resource_limits import settle_limits, within_parent
from clove.kernel.mounts.interpreter import own_interpreter
from clove.kernel.principal import Kind

if TYPE_CHECKING:
    from clove.kernel.launch.facilities import Facilities
    from clove.kernel.launch.profile import Clone
    from clove.kernel.launch.program import Find, Program
    from clove.kernel.launch.record import AgentRecord
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.kernel.principal import Principal
    from clove.sandbox.spec import SandboxSpec

__all__ = ["Provisioner"]


class Provisioner:
    """The provisions of all agents that live."""

    def __init__(self, facilities: Facilities) -> None:
        self._facilities = facilities
        self._own = own_interpreter()
        self._provisions: dict[int, Provision] = {}
        self._clones: dict[int, Allocation] = {}

    def common_spec(self) -> SandboxSpec:
        """What all agents under the kernel's own interpreter have in common."""
        return common_spec(self._facilities.host, self._own)

    def settle_limits(self, record: AgentRecord, parent: ResourceLimits | None) -> ResourceLimits:
        """The limits of a record, or those that come of its request.

        @param parent: its parent's limits; None: nothing bounds it.
        @raise CloveError: the request cannot be met here; see L{check_request} and L{within_parent}.
        """
        facilities, request = self._facilities, record.request
        limits = record.limits
        if limits is None:
            limits = within_parent(settle_limits(request.limits, facilities.bounds), parent)
        check_request(request, facilities.host.controllers, limits, facilities.bounds)
        return limits

    async def prepare(
        self, principal: Principal, record: AgentRecord, find: Find | None = None
    ) -> Provision:
        """Make what an agent needs, to be launched in it again and again.

        @param find: finds its program; None: it is the one that the record names.
        @raise CloveError: something cannot be had; L{release} takes the rest away.
        """
        limits = principal.limits = self.settle_limits(record, principal.limits)
        provision = Provision(self._facilities, principal, record, limits)
        self._provisions[principal.agent_id] = provision
        await provision.prepare(find or functools.partial(self._find_recorded, record))
        return provision

    async def _find_recorded(self, record: AgentRecord) -> Program:
        """The program that a record names.

        @raise InvalidRequest: it names none.
        """
        if record.program is None:
            raise InvalidRequest(f"the record of agent {record.agent_id} names no program")
        facilities = self._facilities
        check = functools.partial(facilities.check_reader, record)
        return RecordedProgram(record.program, check, facilities.bounds.script)

    def record_of(self, agent_id: int) -> AgentRecord | None:
        """What an agent that lives can be started from anew."""
        provision = self._provisions.get(agent_id)
        return None if provision is None else provision.record

    async def clone(self, principal: Principal, number: int) -> Clone:
        """A sandbox like a principal's, for another program.

        @param number: an id that no principal has; L{release} takes away what belongs to it.
        @raise Unavailable: the principal does not run, or the clone cannot be made.
        """
        if principal.kind is not Kind.AGENT:
            return clone_of_host(self._facilities.host, principal.cwd)
        provision = self._provisions.get(principal.agent_id)
        profile = None if provision is None else provision.profile
        if profile is None:
            raise Unavailable("the agent has no sandbox now", hint="try again when it runs")
        allocation = Allocation(self._facilities, number, principal.family)
        self._clones[number] = allocation
        allocation.share_user(principal.agent_id)
        await allocation.make_cgroup(profile.limits)
        return await allocation.threads.run(profile.clone, allocation.cgroup)

    async def release(self, number: int) -> None:
        """Take away what an agent has, or a clone. Idempotent; logs what could not be removed."""
        holder = self._provisions.pop(number, None) or self._clones.pop(number, None)
        if holder is not None:
            await holder.release()
