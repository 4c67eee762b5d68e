"""How much of a shared resource each family may have. Pure.

One rule for every shared resource: no family holds more than its share of the total, and the
last part of it is operators' alone. A family is what one operator's spawn leads to: the agent
with all that it spawns, at any remove, so that no agent gets more by having children. So one
family that takes all it can leaves room for another, and all of them together leave room for
the operator. docs/shares.md lists the resources.
"""

from __future__ import annotations

from math import ceil
from typing import Annotated, Final

import msgspec

from clove.errors import LimitExceeded

__all__ = ["OPERATORS", "ShareLimits", "Shares", "divide"]

OPERATORS: Final = 0
"""The family of operators: their own requests, not the agents that they spawn."""


class ShareLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How each shared resource is divided; docs/shares.md lists them.

    A family is an agent that an operator spawned, with all that descend from it; or a guest's
    user id, with all that it spawned.
    """

    family: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Fraction of a counted resource (threads, commands, agents, connections) that one family
    may have, of what is not kept for operators; at least one."""
    family_memory: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.25
    """The same for bytes of the kernel's memory."""
    operators: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.125
    """Fraction of each resource that only operators may have, rounded up; nothing of what there
    is but one of."""


def divide(
    total: int, limits: ShareLimits, *, memory: bool = False, reserve: bool = True
) -> tuple[int, int]:
    """What is kept for operators, and what one family may have.

    @param memory: bytes are counted.
    @param reserve: operators use it too, so that a part is kept for them.
    """
    kept = ceil(total * limits.operators) if reserve and total > 1 else 0
    fraction = limits.family_memory if memory else limits.family
    return kept, max(1, ceil((total - kept) * fraction))


class Shares:
    """Counts how much of one resource each family holds.

    Taking and giving cost two look-ups in a dictionary, however many families there are.

    @ivar total: what there is.
    @ivar for_operators: how much of it is kept for them.
    @ivar per_family: what one family may hold.
    @ivar used: what is held now, by all.
    """

    __slots__ = (
        "_field",
        "_for_agents",
        "_held",
        "_what",
        "for_operators",
        "per_family",
        "total",
        "used",
    )

    def __init__(
        self,
        what: str,
        field: str,
        total: int,
        limits: ShareLimits | None = None,
        *,
        memory: bool = False,
        reserve: bool = True,
    ) -> None:
        """
        @param what: what is counted, in the plural ("commands").
        @param field: where the total is configured.
        @param memory: see L{divide}.
        @param reserve: see L{divide}.
        """
        limits = limits or ShareLimits()
        self._what = what
        self._field = field
        self.total = total
        kept, self.per_family = divide(total, limits, memory=memory, reserve=reserve)
        self.for_operators = kept
        self._for_agents = total - kept
        self.used = 0
        self._held: dict[int, int] = {}

    def of(self, family: int) -> int:
        """What a family holds."""
        return self._held.get(family, 0)

    def refusal(self, family: int, amount: int = 1, freed: int = 0) -> LimitExceeded | None:
        """Why a family cannot have so much more now; None if it can.

        @param freed: what another family gives back for it.
        """
        wanted = self.used + amount - freed
        if family == OPERATORS:
            if wanted <= self.total:
                return None
        else:
            held = self._held.get(family, 0)
            if held + amount > self.per_family:
                return LimitExceeded(
                    f"your family of agents has {held} {self._what}, its share is"
                    f" {self.per_family} of {self.total}",
                    hint="end or give back what it does not need, or wait; its operator can"
                    f" raise {self._field} or limits.shares",
                )
            if wanted <= self._for_agents:
                return None
        room = self.total if family == OPERATORS else self._for_agents
        kept = f", and {self.total - room} kept for operators" if room < self.total else ""
        return LimitExceeded(
            f"there are {self.used} {self._what} already, the limit is {room}{kept}",
            hint=f"try again later; the operator can raise {self._field}",
        )

    def take(self, family: int, amount: int = 1) -> None:
        """Have so much more.

        @raise LimitExceeded: the family's share, or all there is, is taken.
        """
        refusal = self.refusal(family, amount)
        if refusal is not None:
            raise refusal
        self.add(family, amount)

    def add(self, family: int, amount: int = 1) -> None:
        """Count what cannot be refused any more."""
        self.used += amount
        self._held[family] = self._held.get(family, 0) + amount

    def give(self, family: int, amount: int = 1) -> None:
        """Give back what was taken or added."""
        if not amount:
            return
        self.used -= amount
        left = self._held[family] - amount
        if left:
            self._held[family] = left
        else:
            del self._held[family]
