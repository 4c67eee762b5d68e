"""What a relay has refused, and to whom, until it is in the store. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from clove.relay.denial_record import SHARE, STRANGERS, Denial, DenialKind, Refusal
from clove.relay.tokens.form import redact
from clove.relay.tokens.lockout import source_of

__all__ = ["Denials"]

_TOGETHER: Final = 60.0
"""Seconds within which the same refusal counts as one more of the first."""
_TEXT: Final = 200
_SCANNED: Final = 1000  # more than a token longer than what is kept


class Denials:
    """Those of the last minute, and those that are not in the store yet.

    @ivar most: entries; the oldest goes first, of a caller that has more than its share its own, and of those
        without a token one of theirs where they have more than half.
    @param wall: seconds since the epoch.
    """

    def __init__(self, most: int, wall: Callable[[], float]) -> None:
        self.most = most
        self._wall = wall
        self._entries: dict[int, Denial] = {}
        self._strangers: dict[int, Denial] = {}
        self._of_caller: dict[str, deque[Denial]] = {}
        self._latest: dict[Refusal, Denial] = {}
        self._unwritten: dict[int, Denial] = {}
        self._last_id = 0

    def add(self, kind: DenialKind, source: str, **facts: str) -> None:
        """One more. Texts are cut to size, and to what a store can have, and show no token; what is in them was
        chosen by others.

        @param facts: the other fields of L{Refusal}.
        """
        now = self._wall()
        refusal = Refusal(
            kind=kind, source=_kept(source), **{name: _kept(text) for name, text in facts.items()}
        )
        latest = self._latest.get(refusal)
        if latest is not None and now - latest.at < _TOGETHER:
            latest.count += 1
            latest.last = now
            self._unwritten[latest.id] = latest
            return
        self._last_id += 1
        caller = _caller_of(refusal)
        made = Denial(id=self._last_id, at=now, last=now, refusal=refusal, caller=caller)
        self._entries[made.id] = self._unwritten[made.id] = self._latest[refusal] = made
        if not refusal.token_id:
            self._strangers[made.id] = made
        own = self._of_caller.setdefault(caller, deque())
        own.append(made)
        if len(own) > max(1, self.most // SHARE):
            self._drop(own[0])
        elif len(self._strangers) > max(1, self.most // STRANGERS):
            self._drop(next(iter(self._strangers.values())))
        elif len(self._entries) > self.most:
            self._drop(next(iter(self._entries.values())))

    def _drop(self, old: Denial) -> None:
        """Forget one that is the oldest of its caller."""
        del self._entries[old.id]
        self._strangers.pop(old.id, None)
        self._unwritten.pop(old.id, None)
        caller = old.caller
        self._of_caller[caller].popleft()
        if not self._of_caller[caller]:
            del self._of_caller[caller]
        if self._latest.get(old.refusal) is old:
            del self._latest[old.refusal]

    def unwritten(self, most: int) -> list[Denial]:
        """Copies of some that the store does not have so; the first of each caller, then the second of each, ..."""
        ranks: Counter[str] = Counter()
        ranked: list[tuple[int, int, Denial]] = []
        for each in self._unwritten.values():
            ranks[each.caller] += 1
            ranked.append((ranks[each.caller], each.id, each))
        ranked.sort()
        chosen = sorted(ranked[:most], key=lambda each: each[1])
        return [msgspec.structs.replace(each) for _, _, each in chosen]

    def written(self, kept: Iterable[Denial]) -> None:
        """The store has these copies; what it has, and is a minute old, is forgotten here."""
        for each in kept:
            mine = self._unwritten.get(each.id)
            if mine is not None and mine.count == each.count:
                del self._unwritten[each.id]
        end = self._wall() - _TOGETHER
        for own in list(self._of_caller.values()):
            while own and own[0].at <= end and own[0].id not in self._unwritten:
                self._drop(own[0])


def _caller_of(refusal: Refusal) -> str:
    """Its token, or without one its address (of IPv6 the first 64 bits: one customer has all of these)."""
    return f"token {refusal.token_id}" if refusal.token_id else source_of(refusal.source)


def _kept(text: str) -> str:
    """What may be kept of a text: somebody may give a token where another thing belongs."""
    return redact(text[:_SCANNED])[:_TEXT].replace("\0", " ").encode(errors="replace").decode()
