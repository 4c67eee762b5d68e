"""The state store in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import Raw
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from clove.errors import AlreadyExists, InvalidRequest, LimitExceeded
from clove.kernel.answers import Answer
from clove.kernel.pieces import InTurns, at_once
from clove.kernel.state.interface import Found, IStateStore
from clove.kernel.state.limits import StateLimits
from clove.kernel.state.listing import list_keys
from clove.kernel.state.space import Entry
from clove.kernel.state.spaces import Spaces
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
        in_turns: InTurns = at_once,
    ) -> None:
        """@param in_turns: lists keys."""
        self._clock = clock
        self._seconds = clock.seconds
        self._limits = limits or StateLimits()
        self.on_changed = on_changed
        self._in_turns = in_turns
        self._spaces = Spaces(self._limits, shares)
        self.usage: Usage = self._spaces.usage
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
        now = self._seconds()
        owner = agent_id if scope == "agent" else 0
        old = self._entry(owner, scope, key, now)
        if old is None:
            self._check_key(key)
        size = self._size(key, value)
        if if_version is not None:
            _check_version(key, old, if_version)
        self._check_room(agent_id, family, size, old, now)
        spaces = self._spaces
        version = old.version + 1 if old else spaces.next_version(owner, scope, key)
        expires = inf if ttl is None else now + ttl
        entry = Entry(value, scope, version, agent_id, family, expires, size)
        spaces.put(owner, key, entry, old)
        if ttl is not None:
            self._plan_sweep(now)
        if self.on_changed is not None:
            self.on_changed(agent_id, key, scope, "store")
        return version

    def fetch(self, agent_id: int, key: str, scope: Scope | None = None) -> Found | None:
        """See L{IStateStore.fetch}."""
        spaces = self._spaces
        for in_scope in LOOK_UP if scope is None else (scope,):
            space = spaces.own.get(agent_id) if in_scope == "agent" else spaces.shared[in_scope]
            entry = None if space is None else space.entries.get(key)
            if entry is not None and entry.expires < inf:
                owner = agent_id if in_scope == "agent" else 0
                entry = self._entry(owner, in_scope, key, self._seconds())
            if entry is not None:
                return entry
        return None

    def delete(self, agent_id: int, key: str, scope: Scope | None = None) -> bool:
        """See L{IStateStore.delete}."""
        now = self._seconds()
        for in_scope in LOOK_UP if scope is None else (scope,):
            owner = agent_id if in_scope == "agent" else 0
            if self._entry(owner, in_scope, key, now) is not None:
                self._spaces.remove(owner, in_scope, key)
                self._tell(agent_id, key, in_scope, "delete")
                return True
        return False

    def keys(
        self,
        agent_id: int,
        prefix: str = "",
        scope: Scope | None = None,
        family: int | None = None,
    ) -> Answer[tuple[list[str], bool]]:
        """See L{IStateStore.keys}."""
        found = [
            self._spaces.find(in_scope, agent_id if in_scope == "agent" else 0)
            for in_scope in (LOOK_UP if scope is None else (scope,))
        ]
        spaces = [space for space in found if space is not None]
        work = list_keys(spaces, prefix, self._seconds(), self._limits)
        return self._in_turns(work, agent_id if family is None else family)

    def close(self, agent_id: int) -> None:
        """See L{IStateStore.close}."""
        self._spaces.close(agent_id)
        self._tidy_soon(self._seconds())

    def stop(self) -> None:
        """See L{IStateStore.stop}."""
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None

    def _check_key(self, key: str) -> None:
        if len(key) > self._limits.max_key:
            raise LimitExceeded(f"a key has at most {self._limits.max_key} characters")
        if not key or (not key.isprintable() and _CONTROL.search(key)):
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
            self._tidy(now)
            self.usage.check(agent_id, family, size, old)

    def _entry(self, owner: int, scope: Scope, key: str, now: float) -> Entry | None:
        """A key that has not expired; one that has is removed."""
        space = self._spaces.find(scope, owner)
        entry = None if space is None else space.entries.get(key)
        if entry is None or entry.expires > now:
            return entry
        self._remove_expired(owner, scope, key)
        return None

    def _remove_expired(self, owner: int, scope: Scope, key: str) -> None:
        entry = self._spaces.remove(owner, scope, key)
        self._tell(entry.writer, key, scope, "expire")

    def _tell(self, agent_id: int, key: str, scope: Scope, action: str) -> None:
        if self.on_changed is not None:
            self.on_changed(agent_id, key, scope, action)

    # sweeping

    def _plan_sweep(self, now: float) -> None:
        """Have one delayed call, for the next key that expires."""
        due = self._spaces.expiry.next
        if due == inf:
            return
        delay = max(self._limits.sweep_interval, min(due - now, LONGEST))
        if self._sweep_call is None:
            self._sweep_call = self._clock.callLater(delay, self._sweep)
        elif self._sweep_call.getTime() > now + delay:
            self._sweep_call.reset(delay)

    def _sweep(self) -> None:
        self._sweep_call = None
        self._tidy_soon(self._seconds())

    def _tidy_soon(self, now: float) -> None:
        """Tidy now; and go on when others were served, or when the next key expires."""
        if self._tidy(now):
            self._plan_sweep(now)
        elif self._sweep_call is None:
            self._sweep_call = self._clock.callLater(0, self._sweep)
        else:
            self._sweep_call.reset(0)

    def _tidy(self, now: float) -> bool:
        """Forget what agents had that are gone, and remove expired keys, for a bounded time: all that want to
        know of these are told of each.

        @return: false if it took too long, and should go on when others were served.
        """
        until = now + SWEEP_TURN
        while self._spaces.forget_some():
            if self._seconds() > until:
                return False
        for _ in range(self._limits.max_swept):
            due = self._spaces.expiry.first(now)
            if due is None:
                break
            _, owner, scope, key = due
            self._remove_expired(owner, scope, key)
            if self._seconds() > until:
                return False
        return True


def _check_version(key: str, entry: Entry | None, wanted: int) -> None:
    """@raise AlreadyExists: the key is not at this version."""
    version = 0 if entry is None else entry.version
    if wanted == version:
        return
    is_at = f"is at version {version}" if version else "does not exist"
    raise AlreadyExists(
        f"the key {key!r} {is_at}, if_version was {wanted}",
        hint="FETCH it again and decide with its present value",
    )
