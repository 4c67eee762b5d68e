"""Who is asking: one object for each agent, spawned or connected from outside.

A connection is bound to its principal when it is accepted and never asks the
client who it is. What the principal owns (name, mailbox, subscriptions, keys)
is kept by the domain packages under its `agent_id`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from clove.kernel.shares import OPERATORS

if TYPE_CHECKING:
    from clove.kernel.agents.exposure import Grants, Wish
    from clove.kernel.agents.plan import Limits
    from clove.policy import Permissions
    from clove.sandbox.interface import IView

__all__ = ["Kind", "Principal"]


class Kind(enum.Enum):
    """What a principal is."""

    OPERATOR = "operator"  # the kernel's own uid or root, on the main socket
    GUEST = "guest"  # another uid that the configuration lets in
    AGENT = "agent"  # spawned by this kernel


class Principal:
    """One identity.

    @ivar agent_id: never reused within a kernel's life.
    @ivar name: registered name, or "" if it has none.
    @ivar permissions: what it may do now; replaced as a whole.
    @ivar ancestors: ids of who spawned it, who spawned that one, and so on, whether they live or
        not; empty for connections from outside.
    @ivar family: with whom it shares what the kernel has (L{clove.kernel.shares}): the id of its
        first ancestor that is no operator; its own if it has none; L{OPERATORS} for operators;
        for guests, and what they spawn, their user id as a negative number.
    @ivar view: where READ, WRITE and EXEC happen; None if it has no right to any, and for an
        agent until its launch is complete.
    @ivar cwd: directory that relative paths start from, or None for the view's own.
    @ivar syscalls: how many it has made.
    @ivar warned: lines of the kernel's log about requests of its that were not wholly understood.
    @ivar sandboxed: it runs inside namespaces; its children must too.
    @ivar network: it may connect to hosts itself, and spawn agents that may.
    @ivar limits: what its processes may use; until they are settled what its parent's may;
        None: nothing bounds them.
    @ivar grants: for one in a sandbox: the paths of the host that it was granted by name.
    @ivar shown: for one in a sandbox: what of them its mounts were made from; None before.
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
        "name",
        "network",
        "permissions",
        "sandboxed",
        "shown",
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
        limits: Limits | None = None,
    ) -> None:
        self.agent_id = agent_id
        self.kind = kind
        self.permissions = permissions
        self.name = name
        self.ancestors = ancestors
        self.family = OPERATORS if kind is Kind.OPERATOR else family or agent_id
        self._view = view
        self._waiting: list[Deferred[IView]] = []
        self.cwd = cwd
        self.sandboxed = sandboxed
        self.network = network
        self.grants = grants
        self.limits = limits
        self.shown: Wish | None = None
        self.syscalls = 0
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

    @property
    def parent_id(self) -> int:
        """Who spawned it; 0 for connections from outside."""
        return self.ancestors[0] if self.ancestors else 0

    @property
    def is_agent(self) -> bool:
        """True for one that this kernel has spawned."""
        return self.kind is Kind.AGENT

    @property
    def is_operator(self) -> bool:
        """True for the one who may do everything."""
        return self.kind is Kind.OPERATOR
