"""Principals: one object for each agent, spawned or connected from outside.

A connection is bound to its principal when it is accepted, and the client is never asked for its
identity. What the principal owns (name, mailbox, subscriptions, keys) is kept by the domain
packages under its `agent_id`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from clove.errors import PermissionDenied
from clove.kernel.ids import REMOTE_CALLERS
from clove.sharing.shares import OPERATORS

if TYPE_CHECKING:
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.kernel.mounts.mount_request import Grants, MountRequest
    from clove.policy import Permissions
    from clove.sandbox.interface import IView

__all__ = ["Kind", "Principal"]


class Kind(enum.Enum):
    """What a principal is."""

    OPERATOR = "operator"  # the kernel's own uid or root, on the main socket
    GUEST = "guest"  # another uid that the configuration lets in
    AGENT = "agent"  # spawned by this kernel
    REMOTE = "remote"  # a caller of another kernel, verified by a relay


_FAMILIES = {Kind.OPERATOR: OPERATORS, Kind.REMOTE: REMOTE_CALLERS}


class Principal:
    """One identity.

    @ivar agent_id: never used again, not even by the next kernel of the state directory.
    @ivar name: registered name, or "" if it has none.
    @ivar permissions: what it may do now; replaced as a whole.
    @ivar ancestors: ids of its parent, its parent's parent, and so on, whether they run or not;
        empty for connections from outside.
    @ivar family: the group that shares of the kernel's resources are counted for
        (L{clove.sharing.shares}): the id of its first ancestor that is no operator; its own id if it
        has none; L{OPERATORS} for operators; for guests, and what they spawn, their user id as a
        negative number; C{REMOTE_CALLERS} for remote callers, and what they spawn.
    @ivar path: the ids of its family, of its ancestors below that, and its own: its position in a
        L{clove.sharing.fair_queue.FairQueue}.
    @ivar view: where READ, WRITE and EXEC happen; None if it has no right to any, and for an
        agent until its launch is complete.
        agent until its launch is complete.
    @ivar cwd: directory that relative paths start from, or None for the view's own.
    @ivar syscalls: how many it has made.
    @ivar outstanding: those of them that are not answered yet: names, and how many of each.
    @ivar warned: lines of the kernel's log about its requests that were only partly understood.
    @ivar sandboxed: it runs inside namespaces; its children must too.
    @ivar network: it may connect to hosts itself, and spawn agents that may.
    @ivar limits: what its processes may use; until they are settled, what its parent's may;
        None: no bounds.
    @ivar grants: in a sandbox: the paths of the host that it was granted by name.
    @ivar mounted: in a sandbox: the paths that its mounts were made from; None before.
    """

    __slots__ = (
        "_view",
        "_waiting",
        "agent_id",
        "ancestors",
        "connections",
        "cwd",
        "family",
        "grants",
        "kind",
        "limits",
        "mounted",
        "name",
        "network",
        "outstanding",
        "path",
        "permissions",
        "sandboxed",
        "syscalls",
        "warned",
    )

    def __init__(
        self,
        agent_id: int,
        kind: Kind,
        permissions: Permissions,
        *,
        name: str = "",
        ancestors: tuple[int, ...] = (),
        family: int = 0,
        view: IView | None = None,
        cwd: str | None = None,
        sandboxed: bool = False,
        network: bool = True,
        grants: Grants | None = None,
        limits: ResourceLimits | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.kind = kind
        self.permissions = permissions
        self.name = name
        self.ancestors = ancestors
        self.family = _FAMILIES.get(kind, family or agent_id)
        self.path = _path(self.family, (*reversed(ancestors), agent_id))
        self._view = view
        self._waiting: list[Deferred[IView]] = []
        self.cwd = cwd
        self.sandboxed = sandboxed
        self.network = network
        self.grants = grants
        self.limits = limits
        self.mounted: MountRequest | None = None
        self.syscalls = 0
        self.outstanding: dict[str, int] = {}
        self.warned = 0
        self.connections = 0

    @property
    def view(self) -> IView | None:
        """See the class."""
        return self._view

    @view.setter
    def view(self, view: IView | None) -> None:
        self._view = view
        if view is not None:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(view)

    async def own_view(self) -> IView | None:
        """The view; of an agent the one that it has or will have when its launch is complete.

        A program that starts warm may ask before the kernel knows that it runs. One that ends
        before takes its connections, and so these waits, with it.
        """
        if self._view is not None or self.kind is not Kind.AGENT:
            return self._view
        waiting: Deferred[IView] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return await waiting

    async def require_view(self) -> IView:
        """The view, for one that may have files and commands.

        @raise PermissionDenied: there is none: it came from another uid.
        """
        view = await self.own_view()
        if view is None:
            raise PermissionDenied(
                "this connection has no files and commands",
                rule="peer-uid",
                hint="connect as the kernel's user, or let the operator grant this uid",
            )
        return view

    @property
    def parent_id(self) -> int:
        """The id of the parent that spawned it; 0 for connections from outside."""
        return self.ancestors[0] if self.ancestors else 0

    @property
    def is_agent(self) -> bool:
        """True for one that this kernel has spawned."""
        return self.kind is Kind.AGENT

    @property
    def is_operator(self) -> bool:
        """Is it an operator, which may do everything?"""
        return self.kind is Kind.OPERATOR

    @property
    def is_remote(self) -> bool:
        """True for a caller of another kernel."""
        return self.kind is Kind.REMOTE

    @property
    def bearer_id(self) -> int:
        """What bounds for one caller are counted for: of a remote one what stands for its token, else its own id."""
        return self.parent_id if self.is_remote else self.agent_id


def _path(family: int, ids: tuple[int, ...]) -> tuple[int, ...]:
    """The part of a line of descent that lies within the family.

    A family's id is that of its first agent, or no agent's: operators', or a user's of the host.
    """
    return ids[ids.index(family) :] if family in ids else (family, *ids)
