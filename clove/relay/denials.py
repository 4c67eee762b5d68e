"""What a relay has refused, and to whom: the latest of it, in memory. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from clove.relay.tokens.lockout import source_of

__all__ = ["KINDS", "Denial", "DenialKind", "Denials", "Refusal"]

DenialKind = Literal["token", "route", "site", "connection", "kernel"]
"""token: one that is not valid, or too many of them; route: a token of a kind that may not call it, or what its
bearer may not do; site: a Host or Origin that is not ours; connection: a tunnel or a remote agent;
kernel: what a machine's kernel refused to a caller over REST."""
KINDS: Final[tuple[DenialKind, ...]] = ("token", "route", "site", "connection", "kernel")
_SHARE: Final = 4
"""One address (of IPv6 the first 64 bits: one customer has all of these) has a quarter of the entries at most."""
_TOGETHER: Final = 60.0
"""Seconds within which the same refusal counts as one more of the first."""
_TEXT: Final = 200


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What was refused, and to whom: all that is shown of it but when.

    @ivar source: the address that asked.
    @ivar token_id: "" where no valid token was shown.
    @ivar what: method and path of the route, or what a connection wanted to be.
    """

    kind: DenialKind
    source: str
    token_id: str = ""
    machine_id: str = ""
    what: str = ""
    code: str = ""
    rule: str = ""
    error: str = ""


class Denial(msgspec.Struct, kw_only=True):
    """One refusal, or several of the same within a minute.

    @ivar at, last: seconds since the epoch, of the first and the last.
    @ivar count: how many.
    """

    id: int
    at: float
    last: float
    refusal: Refusal
    count: int = 1


class Denials:
    """The latest.

    @param most: entries that are kept; the oldest goes first, of an address that has more than its share its own.
    @param wall: seconds since the epoch.
    """

    def __init__(self, most: int, wall: Callable[[], float]) -> None:
        self._most = most
        self._wall = wall
        self._entries: dict[int, Denial] = {}
        self._of_source: dict[str, deque[Denial]] = {}
        self._latest: dict[Refusal, Denial] = {}
        self._last_id = 0

    def add(self, kind: DenialKind, source: str, **facts: str) -> None:
        """One more. Texts are cut to size; what is in them was chosen by others.

        @param facts: the other fields of L{Refusal}.
        """
        now = self._wall()
        cut = {name: text[:_TEXT] for name, text in facts.items()}
        refusal = Refusal(kind=kind, source=source[:_TEXT], **cut)
        latest = self._latest.get(refusal)
        if latest is not None and now - latest.at < _TOGETHER:
            latest.count += 1
            latest.last = now
            return
        self._last_id += 1
        made = Denial(id=self._last_id, at=now, last=now, refusal=refusal)
        self._entries[made.id] = made
        self._latest[refusal] = made
        own = self._of_source.setdefault(source_of(refusal.source), deque())
        own.append(made)
        if len(own) > max(1, self._most // _SHARE):
            self._drop(own[0])
        elif len(self._entries) > self._most:
            self._drop(next(iter(self._entries.values())))

    def _drop(self, old: Denial) -> None:
        """Forget one that is the oldest of its address."""
        del self._entries[old.id]
        of = source_of(old.refusal.source)
        self._of_source[of].popleft()
        if not self._of_source[of]:
            del self._of_source[of]
        if self._latest.get(old.refusal) is old:
            del self._latest[old.refusal]

    def before(
        self, number: int, most: int, *, kind: str = "", machine_id: str = ""
    ) -> list[Denial]:
        """The newest first, from the one before this number on; 0: from the newest.

        @param most: how many at most.
        @param kind: of this kind alone; "": of every kind.
        @param machine_id: concerning this machine alone; "": all.
        """
        found: list[Denial] = []
        for each in reversed(self._entries.values()):
            of = each.refusal
            if number and each.id >= number:
                continue
            if (kind and of.kind != kind) or (machine_id and of.machine_id != machine_id):
                continue
            found.append(each)
            if len(found) == most:
                break
        return found
