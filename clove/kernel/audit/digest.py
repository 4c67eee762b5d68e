"""Which entries go into the file whole, and which are only counted there. Pure.

A flood of refusals must not wash the file. So of each family a number of
different entries is written in a period; a repeated one is counted, and so is
what is beyond the number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from clove.kernel.audit.entries import Stored

__all__ = ["Digest", "Summary"]

MAX_SHARES: Final = 2048
"""Families with a share of their own, of each kind of entry; the others have one together."""
REST: Final = -(1 << 63)
"""The family that stands for those."""


@dataclasses.dataclass(slots=True)
class Summary:
    """What has been counted and not written.

    @ivar repeated: of an entry that was written, by its id, how often it came again.
    @ivar left_out: other entries.
    """

    family: int
    repeated: dict[int, int]
    left_out: int


class _Share:
    """What a family has written in this period."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.written: dict[int, int] = {}
        self.repeated: dict[int, int] = {}
        self.left_out = 0


class Digest:
    """Decides, entry by entry.

    @param entries: different ones of each family and kind that are written in a period.
    @param period: seconds.
    """

    def __init__(self, entries: int, period: float) -> None:
        self._entries = entries
        self._period = period
        self._shares: dict[tuple[int, str], _Share] = {}

    def take(self, entry: Stored, family: int, kind: str, now: float) -> bool:
        """Is it to be written whole? Else it is counted."""
        share = self._share(family, kind, now)
        same = hash(
            (entry.category, entry.event_type, entry.agent_id, entry.success, entry.details)
        )
        first = share.written.get(same)
        if first is not None:
            share.repeated[first] = share.repeated.get(first, 0) + 1
            return False
        if len(share.written) >= self._entries:
            share.left_out += 1
            return False
        share.written[same] = entry.id
        return True

    def _share(self, family: int, kind: str, now: float) -> _Share:
        share = self._shares.get((family, kind))
        if share is None:
            if len(self._shares) >= MAX_SHARES and family != REST:
                return self._share(REST, kind, now)
            share = self._shares[family, kind] = _Share(now)
        elif not 0 <= now - share.since < self._period:
            share.since = now
            share.written.clear()
        return share

    def summaries(self, now: float) -> Iterator[Summary]:
        """What has been counted since the last call; shares that are over are forgotten."""
        for key, share in list(self._shares.items()):
            if share.repeated or share.left_out:
                yield Summary(key[0], share.repeated, share.left_out)
                share.repeated, share.left_out = {}, 0
            elif not 0 <= now - share.since < self._period:
                del self._shares[key]
