"""The keys and bytes that principals and families are charged for. Pure."""

from __future__ import annotations

from clove.errors import LimitExceeded
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.space import Entry
from clove.sharing.shares import ShareLimits, Shares

__all__ = ["OVERHEAD", "Usage"]

OVERHEAD = 256
"""Bytes charged for a key beside its text and value."""


class Usage:
    """Keys and bytes by agent, by family and in all.

    What an agent wrote is charged to its family also when the agent is gone.
    """

    def __init__(self, limits: StateLimits, shares: ShareLimits | None = None) -> None:
        self._limits = limits
        self._keys = Shares("keys", "limits.state.max_keys", limits.max_keys, shares)
        self._size = Shares(
            "bytes of keys", "limits.state.max_bytes", limits.max_bytes, shares, memory=True
        )
        self._by_agent: dict[int, tuple[int, int]] = {}

    @property
    def keys(self) -> int:
        """How many there are in all."""
        return self._keys.used

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._size.used

    def of(self, agent_id: int) -> tuple[int, int]:
        """(keys, bytes) of one agent."""
        return self._by_agent.get(agent_id, (0, 0))

    def check(self, agent_id: int, family: int, size: int, replaced: Entry | None) -> None:
        """Whether an agent may store an entry of so many bytes instead of another.

        @raise LimitExceeded: a bound would be passed.
        """
        limits = self._limits
        keys, used = self.of(agent_id)
        if replaced is None or replaced.writer != agent_id:
            keys += 1
            used += size
        elif size <= replaced.size and family == replaced.family:
            return  # no more is charged than was
        else:
            used += size - replaced.size
        hint = "delete keys that are not needed, or store them with a ttl"
        if keys > limits.max_agent_keys:
            raise LimitExceeded(f"an agent has at most {limits.max_agent_keys} keys", hint=hint)
        if used > limits.max_agent_bytes:
            text = f"an agent's keys have at most {limits.max_agent_bytes} bytes"
            raise LimitExceeded(text, hint=hint)
        if replaced is None:
            refusal = self._keys.refusal(family) or self._size.refusal(family, size)
        elif replaced.family != family:
            refusal = self._keys.refusal(family, 1, 1)
            refusal = refusal or self._size.refusal(family, size, replaced.size)
        elif size > replaced.size:
            refusal = self._size.refusal(family, size - replaced.size)
        else:
            refusal = None
        if refusal is not None:
            raise refusal

    def replace(self, old: Entry | None, entry: Entry) -> None:
        """Charge the writer of an entry, and give what it replaces back to its own."""
        if old is not None and old.writer == entry.writer:
            if more := entry.size - old.size:
                keys, size = self.of(entry.writer)
                self._by_agent[entry.writer] = (keys, size + more)
                self._size.add(entry.family, more)
            return
        keys, size = self.of(entry.writer)
        if old is not None:
            self.remove(old)
        self._by_agent[entry.writer] = (keys + 1, size + entry.size)
        self._keys.add(entry.family)
        self._size.add(entry.family, entry.size)

    def remove(self, entry: Entry) -> None:
        """Give back to the writer, if it is still alive."""
        self._keys.give(entry.family)
        self._size.give(entry.family, entry.size)
        if entry.writer in self._by_agent:
            keys, size = self._by_agent[entry.writer]
            if keys > 1:
                self._by_agent[entry.writer] = (keys - 1, size - entry.size)
            else:
                del self._by_agent[entry.writer]

    def forget(self, agent_id: int) -> None:
        """The agent is gone; what it wrote counts for its family."""
        self._by_agent.pop(agent_id, None)
