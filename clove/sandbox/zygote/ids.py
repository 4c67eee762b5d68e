"""The users that a root kernel's zygote and agents are. Pure."""

from __future__ import annotations

import msgspec

from clove.sandbox.inside.namespaces import INSIDE_ID

__all__ = ["IdRange"]

USERS = 65536


class IdRange(msgspec.Struct, frozen=True):
    """Agents' users, and the zygote's own after them.

    @ivar base: the first agent's.
    @ivar count: how many there are for agents.
    @ivar first_inside: the first agent's, as the zygote's user namespace has it.
    """

    base: int
    count: int = USERS
    first_inside: int = 2000

    @property
    def zygote(self) -> int:
        """The zygote's own user and group."""
        return self.base + self.count

    def to_map(self) -> list[list[int]]:
        """For the zygote's user namespace: [inside, outside, count]."""
        return [[INSIDE_ID, self.zygote, 1], [self.first_inside, self.base, self.count]]
