"""The ranges of principals' ids. Pure.

An id is a u32 on the wire (docs/wire.md). The lower half is for this kernel's operators, guests
and agents; the upper half is for remote callers, which a relay lets in. What a relay calls a caller has
nothing to do with it (L{clove.kernel.remote.callers}), so no word of a relay names a principal here.
"""

from __future__ import annotations

from typing import Final

from clove.errors import InvalidRequest

__all__ = ["LOCAL_IDS", "REMOTE_CALLERS", "REMOTE_IDS", "remote_id"]

LOCAL_IDS: Final = range(1, 1 << 31)
"""Of operators' and guests' connections, and of agents."""
REMOTE_IDS: Final = range(1 << 31, 1 << 32)
"""Of remote callers."""
REMOTE_CALLERS: Final = REMOTE_IDS.stop
"""The one family (L{clove.sharing.shares}) of all callers of other kernels, with all that they spawn:
a relay may give any number of ids, so to be a family each would let them have everything. No other
family has this number, and no principal has it for an id: families have the ids of agents, and
user ids as negative numbers."""


def remote_id(number: int) -> int:
    """The id of the remote caller with this number.

    @raise InvalidRequest: they have numbers from 0 to 2**31 - 1.
    """
    if not 0 <= number < len(REMOTE_IDS):
        raise InvalidRequest(
            f"remote callers have numbers from 0 to {len(REMOTE_IDS) - 1}, not {number}"
        )
    return REMOTE_IDS[number]
