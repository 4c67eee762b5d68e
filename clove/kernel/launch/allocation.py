"""A user id, a cgroup and the child of the zygote that is in it, for an agent or for a dry run as that agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from clove.kernel.launch.disk_limit import DiskLimit
    from clove.kernel.launch.facilities import Facilities
    from clove.kernel.launch.memory_limit import MemoryLimit
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.sandbox.cgroup.tree import AgentCgroup
    from clove.sandbox.zygote.child import NewChild
    from clove.sandbox.zygote.ids import IdRange

__all__ = ["Allocation", "UserLeases"]


class UserLeases:
    """Leases user ids to agents, each to one at a time.

    An agent's is its until nothing of it is left that could use it, or be found by the next that
    has it: processes, and files in its workspace.

    @param users: the user ids.
    """

    def __init__(self, users: IdRange) -> None:
        self._users = users
        self._uid_of: dict[int, int] = {}
        self._holders: Counter[int] = Counter()

    def lease(self, holder: int, uid: int | None = None) -> int:
        """A user id that no other agent has.

        As a rule that of the holder's number: ids of agents only ascend, so each user id comes
        again as late as can be, over restarts of the kernel as well.

        @param holder: an agent's id, which has none yet.
        @param uid: the only one that will do.
        @raise LimitExceeded: all are leased, or that one is.
        @raise Unavailable: it is none of these.
        """
        base, count = self._users.base, self._users.count
        if len(self._holders) >= count:
            raise LimitExceeded(
                f"all {count} user ids for agents are in use",
                hint="end some agents; the kernel's log names those of which something was left "
                "behind, whose user ids are not used again until it is restarted",
            )
        if uid is not None:
            self._check_free(uid)
            return self._add(holder, uid)
        number = holder % count
        while base + number in self._holders:
            number = (number + 1) % count
        return self._add(holder, base + number)

    def _check_free(self, uid: int) -> None:
        """@raise CloveError: it is not to be had."""
        if uid not in range(self._users.base, self._users.base + self._users.count):
            raise Unavailable(
                f"user id {uid} is none of those for agents",
                hint="set limits.agents.uid_base to what it was when the agent was spawned",
            )
        if uid in self._holders:
            raise LimitExceeded(f"user id {uid} is in use by another agent")

    def _add(self, holder: int, uid: int) -> int:
        self._uid_of[holder] = uid
        self._holders[uid] += 1
        return uid

    def share(self, holder: int, of: int) -> None:
        """Hold the user id of an agent too, if it has one: for a dry run as that agent."""
        uid = self._uid_of.get(of)
        if uid is not None:
            self._uid_of[holder] = uid
            self._holders[uid] += 1

    def give_back(self, holder: int) -> None:
        """Nothing of the holder is left. Idempotent."""
        uid = self._uid_of.pop(holder, None)
        if uid is not None:
            self._holders[uid] -= 1
            if not self._holders[uid]:
                del self._holders[uid]

    def withhold(self, holder: int) -> None:
        """Something of the holder's is left behind: its user id is not leased again."""
        self._uid_of.pop(holder, None)


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
    @ivar child: the process that is to become it, until it does.
    @ivar memory: what looks after its memory where no cgroup does.
    @ivar disk: the limit of its workspace, if it has one.
    @ivar stopped: L{stop} was called.
    """

    log = Logger()

    def __init__(self, facilities: Facilities, number: int, family: int) -> None:
        self.threads = facilities.threads.of((family, -number), bounded=False)
        self.cgroup: AgentCgroup | None = None
        self.child: NewChild | None = None
        self.memory: MemoryLimit | None = None
        self.disk: DiskLimit | None = None
        self.stopped = False
        self._disks = facilities.disks
        self._limit_disk: Callable[[int], DiskLimit] | None = None
        self._launcher = facilities.launcher
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

    async def allocate(self, limits: ResourceLimits, *, warm: bool) -> None:
        """Its cgroup, and where it starts warm the process that is to become it.

        @raise CloveError: there can be no cgroup.
        """
        self.child = self._launcher.preforked() if warm else None
        await self.make_cgroup(limits, None if self.child is None else self.child.cgroup)
        if warm and self.child is None:
            self.child = await self._launcher.fork(self.cgroup)

    async def take_child(self, *, forks: bool) -> NewChild | None:
        """The process that is to become it; with `forks` another one, if it has become that already."""
        child, self.child = self.child, None
        return await self._launcher.fork(self.cgroup) if child is None and forks else child

    def abandon_child(self) -> None:
        """It starts cold, or not at all. Idempotent."""
        child, self.child = self.child, None
        if child is not None:
            child.abandon()

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

    def limit_disk(
        self, path: tuple[int, ...], home: str, most: int, over: Callable[[bytes], None]
    ) -> None:
        """Make the limit of its workspace, if it has one; L{DiskLimit.begin} begins it.

        @param path: the agent's.
        @param most: bytes; 0: no limit before L{change_disk}.
        @see: L{DiskWatches.limit}.
        """
        self._limit_disk = lambda most: self._disks().limit(path, self.threads, home, most, over)
        if most:
            self.disk = self._limit_disk(most)

    async def change_disk(self, most: int) -> None:
        """Hold its workspace to another limit from now on."""
        if self.disk is None and most and self._limit_disk is not None and not self.stopped:
            self.disk = self._limit_disk(0)
            self.disk.watch()
        if self.disk is not None:
            await self.disk.change(most)

    def stop(self) -> None:
        """Nothing is to become it any more, and nothing is to end it. Idempotent."""
        self.stopped = True
        self.abandon_child()
        if self.disk is not None:
            self.disk.stop()

    async def release(self, *others: _Removable | None) -> None:
        """Remove the cgroup and what else there is, then give the user id back. Logs what stays.

        The user id of a holder of which something stays is not used again.
        """
        cgroup, self.cgroup = self.cgroup, None
        there = [each for each in (cgroup, *others, self.disk) if each is not None]
        failed = await self.threads.run(_remove_all, there) if there else ()
        for error in failed:
            self.log.warn(
                "agent {agent} left something behind: {error}", agent=self._number, error=error
            )
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
