"""All spaces of keys, with what expires, and what is charged for them. Pure."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from clove.kernel.state.expiry import Expiry
from clove.kernel.state.key_table import table_for
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.space import Entry, Space, Tombstones
from clove.kernel.state.usage import Usage
from clove.messages.state import Scope
from clove.sharing.shares import ShareLimits

__all__ = ["FORGOTTEN", "Spaces"]

FORGOTTEN: Final = 64
"""Keys of an agent that is gone, which are forgotten in one piece of the work."""


class Spaces:
    """A space of its own for each agent that has keys in one, and two that all share.

    @ivar usage: what is charged to which principal and family.
    @ivar expiry: the keys that expire.
    @ivar shared: by scope.
    @ivar own: by agent.
    """

    def __init__(self, limits: StateLimits, shares: ShareLimits | None) -> None:
        self.usage = Usage(limits, shares)
        self.expiry = Expiry()
        make_table = table_for(limits.max_keys)
        self._make_own_table = table_for(min(limits.max_keys, limits.max_agent_keys))
        self.shared: dict[str, Space] = {
            "session": Space(make_table()),
            "global": Space(make_table()),
        }
        self.own: dict[int, Space] = {}
        self._closed: deque[tuple[int, Space]] = deque()
        self._tombstones = Tombstones(limits.max_tombstones)

    def find(self, scope: Scope, owner: int) -> Space | None:
        """One that has keys, or is shared.

        @param owner: the agent; 0: all.
        """
        return self.shared[scope] if owner == 0 else self.own.get(owner)

    def next_version(self, owner: int, scope: Scope, key: str) -> int:
        """The first version of a key that is not there."""
        return self._tombstones.next_version(owner, scope, key)

    def put(self, owner: int, key: str, entry: Entry, old: Entry | None) -> None:
        """Add a key, or replace its old entry."""
        scope = entry.scope
        space = self.shared[scope] if owner == 0 else self.own.get(owner)
        if space is None:
            space = self.own[owner] = Space(self._make_own_table())
        if old is None:
            space.add(key, entry)
        else:
            space.entries[key] = entry
            if old.expires < inf:
                space.expiring -= 1
                self.expiry.remove((old.expires, owner, scope, key))
        self.usage.replace(old, entry)
        if entry.expires < inf:
            space.expiring += 1
            self.expiry.add((entry.expires, owner, scope, key))

    def remove(self, owner: int, scope: Scope, key: str) -> Entry:
        """Take out a key that is there, and remember its version."""
        space = self.shared[scope] if owner == 0 else self.own[owner]
        entry = space.remove(key)
        if owner and not space.entries:
            del self.own[owner]
        if entry.expires < inf:
            space.expiring -= 1
            self.expiry.remove((entry.expires, owner, scope, key))
        self.usage.remove(entry)
        self._tombstones.add(owner, scope, key, entry.version)
        return entry

    def close(self, agent_id: int) -> None:
        """The agent's own space is no more; L{forget_some} forgets what was in it."""
        self.usage.forget(agent_id)
        space = self.own.pop(agent_id, None)
        if space is not None:
            self._closed.append((agent_id, space))

    def forget_some(self) -> bool:
        """Forget some keys of those that are gone, which count until then; whether there were any."""
        if not self._closed:
            return False
        agent_id, space = self._closed[0]
        for key, entry in space.pop_some(FORGOTTEN):
            self.usage.remove(entry)
            if entry.expires < inf:
                self.expiry.remove((entry.expires, agent_id, "agent", key))
        if not space.entries:
            self._closed.popleft()
        return True
