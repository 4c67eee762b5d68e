"""Who is charged for how many keys and bytes. Pure."""

from __future__ import annotations

from clove.errors import LimitExceeded
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.space import Entry

__all__ = ["OVERHEAD", "Usage"]

OVERHEAD = 256
"""Bytes charged for a key beside its text and value."""


class Usage:
    """Keys and bytes by agent and in all.

    @ivar keys, size: in all.
    """

    def __init__(self, limits: StateLimits) -> None:
        self._limits = limits
        self.keys = 0
        self.size = 0
        self._by_agent: dict[int, tuple[int, int]] = {}

    def of(self, agent_id: int) -> tuple[int, int]:
        """(keys, bytes) of one agent."""
        return self._by_agent.get(agent_id, (0, 0))

    def check(self, agent_id: int, size: int, replaced: Entry | None) -> None:
        """Whether an agent may store an entry of so many bytes instead of another.

        @raise LimitExceeded: a bound would be passed.
        """
        limits = self._limits
        keys, used = self.of(agent_id)
        own = replaced is not None and replaced.writer == agent_id
        keys += 0 if own else 1
        used += size - (replaced.size if replaced is not None and own else 0)
        hint = "delete keys that are not needed, or store them with a ttl"
        if keys > limits.max_agent_keys:
            raise LimitExceeded(f"an agent has at most {limits.max_agent_keys} keys", hint=hint)
        if used > limits.max_agent_bytes:
            text = f"an agent's keys have at most {limits.max_agent_bytes} bytes"
            raise LimitExceeded(text, hint=hint)
        if self.keys + (replaced is None) > limits.max_keys:
            raise LimitExceeded(f"the store has {limits.max_keys} keys, its limit", hint=hint)
        if self.size + size - (replaced.size if replaced else 0) > limits.max_bytes:
            raise LimitExceeded(f"the store is full ({limits.max_bytes} bytes)", hint=hint)

    def add(self, entry: Entry) -> None:
        """Charge the writer."""
        keys, size = self.of(entry.writer)
        self._by_agent[entry.writer] = (keys + 1, size + entry.size)
        self.keys += 1
        self.size += entry.size

    def remove(self, entry: Entry) -> None:
        """Give back to the writer, if it is still alive."""
        self.keys -= 1
        self.size -= entry.size
        if entry.writer in self._by_agent:
            keys, size = self._by_agent[entry.writer]
            if keys > 1:
                self._by_agent[entry.writer] = (keys - 1, size - entry.size)
            else:
                del self._by_agent[entry.writer]

    def forget(self, agent_id: int) -> None:
        """The agent is gone; what it wrote counts in all only."""
        self._by_agent.pop(agent_id, None)
