"""A cgroup and a user id, for an agent or for a dry run as that agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from clove.kernel.launch.facilities import Facilities
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.sandbox.cgroup.tree import AgentCgroup

__all__ = ["Allocation"]


class _Removable(Protocol):
    def remove(self) -> None:
        """Remove it. Blocking.

        @raise OSError, CloveError: something of it is still there.
        """


class Allocation:
    """What is counted for one holder until nothing of it is left.

    @param number: the agent's id, or the dry run's number.
    @ivar threads: do its blocking work, behind that of its family alone.
    @ivar cgroup: its own, if there are any.
    """

    log = Logger()

    def __init__(self, facilities: Facilities, number: int, family: int) -> None:
        self.threads = facilities.threads.of((family, -number), bounded=False)
        self.cgroup: AgentCgroup | None = None
        self._cgroups = facilities.cgroups
        self._users = facilities.users
        self._number = number

    def lease_user(self, uid: int | None = None) -> int | None:
        """A user id of its own; None where agents run under the kernel's.

        @param uid: the one that it must be, since files are that user's.
        @raise LimitExceeded: none is free, or that one is not.
        """
        return self._users.lease(self._number, uid) if self._users is not None else None

    def share_user(self, agent_id: int) -> None:
        """Hold the user id of an agent, too."""
        if self._users is not None:
            self._users.share(self._number, agent_id)

    async def make_cgroup(self, limits: ResourceLimits, there: AgentCgroup | None = None) -> None:
        """Make the cgroup, or give limits to one that is there.

        @raise Unavailable: it cannot be made.
        """
        if self._cgroups is None:
            return
        self.cgroup = there
        wanted = limits.of_cgroup()
        if there is not None:
            making = self.threads.run(self._cgroups.limit, there, wanted)
        else:
            making = self.threads.run(self._cgroups.create, self._number, wanted)
        try:
            await to_the_end(making.addCallback(self._keep_cgroup))
        except OSError as error:
            raise Unavailable(f"the agent's cgroup cannot be made: {error.strerror}") from None

    def _keep_cgroup(self, cgroup: AgentCgroup) -> None:
        self.cgroup = cgroup

    async def release(self, *others: _Removable | None) -> None:
        """Remove the cgroup and what else there is, then give the user id back. Logs what stays.

        The user id of a holder of which something stays is not used again.
        """
        cgroup, self.cgroup = self.cgroup, None
        there = [each for each in (cgroup, *others) if each is not None]
        failed = await self.threads.run(_remove_all, there) if there else ()
        for error in failed:
            self.log.warn("agent {id} left something behind: {error}", id=self._number, error=error)
        if self._users is not None:
            (self._users.withhold if failed else self._users.give_back)(self._number)


def _remove_all(there: Iterable[_Removable]) -> list[Exception]:
    """Remove each; gives why some could not be."""
    failed: list[Exception] = []
    for each in there:
        try:
            each.remove()
        except (OSError, CloveError) as error:
            failed.append(error)
    return failed
