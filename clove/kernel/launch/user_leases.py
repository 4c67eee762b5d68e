"""Which agent runs under which of the user ids for agents. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from clove.errors import LimitExceeded, Unavailable

if TYPE_CHECKING:
    from clove.sandbox.zygote.ids import IdRange

__all__ = ["UserLeases"]


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
