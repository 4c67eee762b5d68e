"""The state store in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from heapq import merge
from math import inf
from typing import Final

from msgspec import Raw
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from clove.errors import AlreadyExists, InvalidRequest, LimitExceeded
from clove.kernel.state.expiry import Due, Expiry
from clove.kernel.state.interface import Found, IStateStore
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.space import Entry, Space, Tombstones
from clove.kernel.state.usage import OVERHEAD, Usage
from clove.messages.state import Scope
from clove.sharing.shares import ShareLimits

__all__ = ["Changed", "StateStore"]

Changed = Callable[[int, str, Scope, str], object]
"""Takes (agent id, key, scope, action)."""

LOOK_UP: Final[tuple[Scope, ...]] = ("agent", "session", "global")
LONGEST: Final = 3600.0
"""Seconds until the next sweep, at most: a reactor cannot wait for any number."""
SWEEP_TURN: Final = 0.002
"""Seconds of the reactor's time that one sweep takes, before others are served."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@implementer(IStateStore)
class StateStore:
    """See L{IStateStore}. All of it is lost with the kernel.

    @ivar usage: what is charged to which principal and family.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: StateLimits | None = None,
        on_changed: Changed | None = None,
        shares: ShareLimits | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or StateLimits()
        self.on_changed = on_changed
        self.usage = Usage(self._limits, shares)
        self._spaces: dict[tuple[str, int], Space] = {}
        self._tombstones = Tombstones(self._limits.max_tombstones)
        self._expiry = Expiry(self._is_live)
        self._sweep_call: IDelayedCall | None = None

    def store(
        self,
        agent_id: int,
        key: str,
        value: Raw,
        scope: Scope = "global",
        ttl: float | None = None,
        if_version: int | None = None,
        family: int | None = None,
    ) -> int:
        """See L{IStateStore.store}."""
        if family is None:
            family = agent_id
        self._check_key(key)
        size = self._size(key, value)
        now = self._clock.seconds()
        owner = _owner(agent_id, scope)
        old = self._entry(owner, scope, key, now)
        _check_version(key, old, if_version)
        self._check_room(agent_id, family, size, old, now)
        version = (
            self._tombstones.next_version(owner, scope, key) if old is None else old.version + 1
        )
        expires = inf if ttl is None else now + ttl
        entry = Entry(value, version, agent_id, family, expires, size)
        space = self._spaces.get((scope, owner))
        if space is None:
            space = self._spaces[scope, owner] = Space()
        space.put(key, entry)
        self.usage.replace(old, entry)
        if old is not None and old.expires < inf:
            self._expiry.spoil()
        if expires < inf:
            self._expiry.add(Due(expires, owner, scope, key, entry.version))
            self._plan_sweep(now)
        self._tell(agent_id, key, scope, "store")
        return entry.version

    def fetch(self, agent_id: int, key: str, scope: Scope | None = None) -> Found | None:
        """See L{IStateStore.fetch}."""
        now = self._clock.seconds()
        for in_scope in LOOK_UP if scope is None else (scope,):
            owner = agent_id if in_scope == "agent" else 0
            if (in_scope, owner) in self._spaces:
                entry = self._entry(owner, in_scope, key, now)
                if entry is not None:
                    return Found(entry.value, in_scope, entry.version)
        return None

    def delete(self, agent_id: int, key: str, scope: Scope | None = None) -> bool:
        """See L{IStateStore.delete}."""
        now = self._clock.seconds()
        for in_scope in _scopes_of(scope):
            owner = _owner(agent_id, in_scope)
            entry = self._entry(owner, in_scope, key, now)
            if entry is not None:
                self._remove(owner, in_scope, key)
                if entry.expires < inf:
                    self._expiry.spoil()
                self._tell(agent_id, key, in_scope, "delete")
                return True
        return False

    def keys(
        self, agent_id: int, prefix: str = "", scope: Scope | None = None
    ) -> tuple[list[str], bool]:
        """See L{IStateStore.keys}."""
        listed: list[str] = []
        size = 0
        for key in self._merged(agent_id, prefix, scope):
            if listed and listed[-1] == key:
                continue
            size += len(key.encode())
            if len(listed) >= self._limits.max_listed or size > self._limits.max_listed_bytes:
                return listed, True
            listed.append(key)
        return listed, False

    def close(self, agent_id: int) -> None:
        """See L{IStateStore.close}."""
        space = self._spaces.pop(("agent", agent_id), None)
        if space is not None:
            for entry in space.entries.values():
                self.usage.remove(entry)
                if entry.expires < inf:
                    self._expiry.spoil()
        self.usage.forget(agent_id)

    def stop(self) -> None:
        """See L{IStateStore.stop}."""
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None

    def _check_key(self, key: str) -> None:
        if len(key) > self._limits.max_key:
            raise LimitExceeded(f"a key has at most {self._limits.max_key} characters")
        if not key or _CONTROL.search(key):
            raise InvalidRequest("a key is a text that is not empty and has no control characters")

    def _size(self, key: str, value: Raw) -> int:
        size = len(value)
        if size > self._limits.max_value_bytes:
            raise LimitExceeded(
                f"the value has {size} bytes, the limit is {self._limits.max_value_bytes}",
                hint="split it over several keys, or store the path of a file",
            )
        return len(key.encode()) + size + OVERHEAD

    def _check_room(
        self, agent_id: int, family: int, size: int, old: Entry | None, now: float
    ) -> None:
        try:
            self.usage.check(agent_id, family, size, old)
        except LimitExceeded:
            self._expire(now)
            self.usage.check(agent_id, family, size, old)

    def _merged(self, agent_id: int, prefix: str, scope: Scope | None) -> Iterator[str]:
        """Keys of all spaces in order; one that is in several comes several times."""
        now = self._clock.seconds()
        spaces = (
            self._spaces.get((in_scope, _owner(agent_id, in_scope)))
            for in_scope in _scopes_of(scope)
        )
        return merge(*(space.beginning_with(prefix, now) for space in spaces if space is not None))

    def _entry(self, owner: int, scope: Scope, key: str, now: float) -> Entry | None:
        """A key that has not expired; one that has is removed."""
        space = self._spaces.get((scope, owner))
        entry = None if space is None else space.entries.get(key)
        if entry is None or entry.expires > now:
            return entry
        self._remove(owner, scope, key)
        if entry.expires < inf:
            self._expiry.spoil()
        self._tell(entry.writer, key, scope, "expire")
        return None

    def _remove(self, owner: int, scope: Scope, key: str) -> Entry:
        """Take a key that is there out of its space, and remember its version."""
        space = self._spaces[scope, owner]
        entry = space.remove(key)
        if not space.entries:
            del self._spaces[scope, owner]
        self.usage.remove(entry)
        self._tombstones.add(owner, scope, key, entry.version)
        return entry

    def _tell(self, agent_id: int, key: str, scope: Scope, action: str) -> None:
        if self.on_changed is not None:
            self.on_changed(agent_id, key, scope, action)

    def _is_live(self, due: Due) -> bool:
        space = self._spaces.get((due.scope, due.owner))
        entry = None if space is None else space.entries.get(due.key)
        return entry is not None and entry.version == due.version

    def _plan_sweep(self, now: float) -> None:
        """Have one delayed call, for the next key that expires."""
        if self._expiry.next == inf:
            return
        delay = max(self._limits.sweep_interval, min(self._expiry.next - now, LONGEST))
        if self._sweep_call is None:
            self._sweep_call = self._clock.callLater(delay, self._sweep)
        elif self._sweep_call.getTime() > now + delay:
            self._sweep_call.reset(delay)

    def _sweep(self) -> None:
        self._sweep_call = None
        now = self._clock.seconds()
        if self._expire(now):
            self._plan_sweep(now)
        else:
            self._sweep_call = self._clock.callLater(0, self._sweep)

    def _expire(self, now: float) -> bool:
        """Remove expired keys, for a bounded time: all that want to know of it are told of each.

        @return: false if it took too long, and should go on when others were served.
        """
        until = now + SWEEP_TURN
        for _ in range(self._limits.max_swept):
            due = self._expiry.pop(now)
            if due is None:
                break
            entry = self._remove(due.owner, due.scope, due.key)
            self._tell(entry.writer, due.key, due.scope, "expire")
            if self._clock.seconds() > until:
                return False
        return True


def _owner(agent_id: int, scope: Scope) -> int:
    """The id that owns the space; 0 for the space that all share."""
    return agent_id if scope == "agent" else 0


def _scopes_of(scope: Scope | None) -> tuple[Scope, ...]:
    return LOOK_UP if scope is None else (scope,)


def _check_version(key: str, entry: Entry | None, wanted: int | None) -> None:
    """@raise AlreadyExists: the key is not at this version."""
    version = 0 if entry is None else entry.version
    if wanted is None or wanted == version:
        return
    is_at = f"is at version {version}" if version else "does not exist"
    raise AlreadyExists(
        f"the key {key!r} {is_at}, if_version was {wanted}",
        hint="FETCH it again and decide with its present value",
    )
