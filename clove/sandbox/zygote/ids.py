"""The users that a root kernel's zygote and agents are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from clove.sandbox.inside.namespaces import INSIDE_ID

__all__ = ["IdRange"]

USERS = 65536
AGENTS_INSIDE = 2000
"""The first agent's user, as the zygote's user namespace has it."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """Agents' users, and the zygote's own after them.

    @ivar base: the first agent's.
    @ivar count: how many there are for agents.
    """

    base: int
    count: int = USERS

    @property
    def zygote(self) -> int:
        """The zygote's own user and group."""
        return self.base + self.count

    def to_map(self) -> list[list[int]]:
        """For the zygote's user namespace: [inside, outside, count]."""
        return [[INSIDE_ID, self.zygote, 1], [AGENTS_INSIDE, self.base, self.count]]

    def inside(self, uid: int) -> int:
        """An agent's user, as the zygote's namespace has it."""
        return uid - self.base + AGENTS_INSIDE
