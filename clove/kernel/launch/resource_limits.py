"""An agent's limits: those that its SPAWN names, defaults for the others, never more than its parent's.

Limits are each agent's own: a family takes of memory, processes and CPU what its members may take
together, and how many it has is bounded (`docs/limits.md`). No member has more than its parent. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clove.errors import InvalidRequest, PermissionDenied
from clove.sandbox.cgroup.tree import CgroupLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clove.kernel.launch.limits import AgentLimits
    from clove.messages.agents import LimitsRequest

__all__ = [
    "CONTROLLERS",
    "Children",
    "ResourceLimits",
    "changed",
    "check_children",
    "settle_limits",
    "within_parent",
]

CONTROLLERS: Final = {
    "memory": "memory",
    "max_pids": "pids",
    "cpu_quota": "cpu",
    "cpu_period": "cpu",
    "cpu_shares": "cpu",
}
"""The controller of cgroup v2 that each limit needs."""
ROOM: Final = ("tmp", "shm")
"""Limits of a sandbox's own file systems in memory, which need no controller."""
DISK: Final = "disk"
"""The limit of its workspace: the file system's to hold, else watched; nothing by default."""
MOST_ROOM: Final = 4 << 30
_PLAIN: Final = ("memory", "max_pids", "cpu_shares")
_CPU: Final = ("cpu_quota", "cpu_period")


Children: TypeAlias = "Callable[[], Iterable[tuple[str, ResourceLimits]]]"
"""Gives the names and limits of what an agent has started, as they are now."""


class ResourceLimits(msgspec.Struct, frozen=True):
    """Limits with the defaults filled in, in the units of L{AgentLimits}.

    @ivar tmp, shm: bytes of /tmp and /dev/shm in a sandbox; 0: by C{memory}, see L{tmpfs}.
    @ivar disk: bytes of its workspace; 0: no limit.
    @ivar named: fields that the caller named.
    @ivar cut: fields whose default was more than the parent has, which they are now.
    """

    memory: int
    max_pids: int
    cpu_quota: int
    cpu_period: int
    cpu_shares: int
    named: frozenset[str]
    cut: frozenset[str] = frozenset()
    tmp: int = 0
    shm: int = 0
    disk: int = 0

    def to_wire(self) -> dict[str, int]:
        """As SPAWN names them."""
        limits = {field: getattr(self, field) for field in CONTROLLERS}
        tmp, shm = self.tmpfs.values()
        return {**limits, "tmp": tmp, "shm": shm, **({DISK: self.disk} if self.disk else {})}

    @property
    def tmpfs(self) -> dict[str, int]:
        """Path in a sandbox to the bytes that files there may take.

        Unless they are named, /tmp has twice the memory and /dev/shm half of it, up to L{MOST_ROOM}.
        """
        return {
            "/tmp": self.tmp or min(2 * self.memory, MOST_ROOM),  # noqa: S108 a private one
            "/dev/shm": self.shm or min(self.memory // 2, MOST_ROOM),  # noqa: S108
        }

    def processors(self, least: int) -> int:
        """How many processors its programs run on; 0: all.

        @param least: so many in any case; 0: all.
        """
        return least and max(least, -(-self.cpu_quota // self.cpu_period))

    def of_cgroup(self) -> CgroupLimits:
        """Those of the agent's cgroup."""
        return CgroupLimits(
            memory=self.memory,
            max_pids=self.max_pids,
            cpu_quota=self.cpu_quota,
            cpu_period=self.cpu_period,
            cpu_shares=self.cpu_shares,
        )


def settle_limits(request: LimitsRequest | None, defaults: AgentLimits) -> ResourceLimits:
    """Fill in the defaults."""
    values: dict[str, int] = {}
    named = set()
    for field in CONTROLLERS:
        asked = getattr(request, field, None) if request is not None else None
        if asked is not None:
            named.add(field)
        values[field] = getattr(defaults, field) if asked is None else asked
    for field in (*ROOM, DISK):
        asked = getattr(request, field, None) if request is not None else None
        if asked is not None:
            named.add(field)
            values[field] = asked
    return ResourceLimits(**values, named=frozenset(named), cut=frozenset())


def changed(
    limits: ResourceLimits, asked: LimitsRequest, bounds: Iterable[ResourceLimits]
) -> ResourceLimits:
    """Limits with those that are asked for, within all bounds.

    @return: C{named} has the fields of the request.
    @raise PermissionDenied: it names more than one of the bounds; rule `limits.FIELD`.
    @raise InvalidRequest: it names none.
    """
    named = {
        field: getattr(asked, field)
        for field in (*CONTROLLERS, *ROOM, DISK)
        if getattr(asked, field) is not None
    }
    if not named:
        raise InvalidRequest("which limits? `limits` names none")
    wanted = replace(limits, **named, named=frozenset(named))
    for bound in bounds:
        wanted = within_parent(wanted, bound)
    return wanted


def within_parent(limits: ResourceLimits, parent: ResourceLimits | None) -> ResourceLimits:
    """The limits, with defaults that are more than the parent's cut to those.

    @param limits: as they were asked for, defaults filled in.
    @param parent: None: nothing bounds it.
    @raise PermissionDenied: it names more; rule `limits.FIELD`.
    """
    if parent is None:
        return limits
    changes = {
        field: getattr(parent, field)
        for field in _PLAIN
        if getattr(limits, field) > getattr(parent, field)
    }
    room = replace(limits, memory=changes.get("memory", limits.memory)).tmpfs
    for field, own, most in zip(ROOM, room.values(), parent.tmpfs.values(), strict=True):
        if own > most:
            changes[field] = most
    if parent.disk and not 0 < limits.disk <= parent.disk:
        changes[DISK] = parent.disk
    # the share of the processors' time that it comes to, whatever the period
    if limits.cpu_quota * parent.cpu_period > parent.cpu_quota * limits.cpu_period:
        changes |= {field: getattr(parent, field) for field in _CPU}
    for field in changes:
        if field in limits.named:
            raise PermissionDenied(
                f"{_described(limits, field)} is more than the parent's, "
                f"{_described(parent, field)}",
                rule=f"limits.{field}",
                hint=f"ask for no more than that, or leave {field} out",
            )
    return replace(limits, **changes, cut=frozenset(changes))


def check_children(
    before: ResourceLimits, after: ResourceLimits, children: Iterable[tuple[str, ResourceLimits]]
) -> None:
    """Would new limits leave an agent with less than what it has started has?

    @param children: their names and limits.
    @raise InvalidRequest: they would.
    """
    for name, limits in children:
        free = replace(limits, named=frozenset())
        over = within_parent(free, after).cut - within_parent(free, before).cut
        for field in sorted(over):
            raise InvalidRequest(
                f"agent {name!r}, which this one has started, may have more: "
                f"{_described(limits, field)}",
                hint="lower its limits first (UPDATE), or end it",
            )


def _described(limits: ResourceLimits, field: str) -> str:
    if field in _CPU:
        return f"cpu_quota {limits.cpu_quota} in cpu_period {limits.cpu_period}"
    if field in ROOM:
        return f"{field} {tuple(limits.tmpfs.values())[ROOM.index(field)]}"
    return f"{field} {getattr(limits, field)}"
