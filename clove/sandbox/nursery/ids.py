"""The users that a root kernel's nursery and agents are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from clove.sandbox.namespaces import INSIDE_ID

__all__ = ["IdRange"]

USERS = 65536
AGENTS_INSIDE = 2000
"""The first agent's user, as the nursery's user namespace has it."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """Agents' users, and the nursery's own after them.

    @ivar base: the first one; there are 65536.
    """

    base: int

    @property
    def nursery(self) -> int:
        """The nursery's own user and group."""
        return self.base + USERS

    def to_map(self) -> list[list[int]]:
        """For the nursery's user namespace: [inside, outside, count]."""
        return [[INSIDE_ID, self.nursery, 1], [AGENTS_INSIDE, self.base, USERS]]

    def inside(self, uid: int) -> int:
        """An agent's user, as the nursery's namespace has it."""
        return uid - self.base + AGENTS_INSIDE
