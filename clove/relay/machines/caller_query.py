"""Which remote agents are asked for: at this relay, and by it at others. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from clove.relay.machines.presence import RemoteCaller

__all__ = ["MOST_TOLD", "CallerQuery", "CallersFound", "matching"]

MOST_TOLD: Final = 100
"""Remote agents in one answer of another relay: 256 KiB hold so many, whatever their names."""


class CallerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Those of one token and machine, or of all (""), by id from the first after this one on."""

    token_id: str = ""
    machine_id: str = ""
    after: int = -1
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0


class CallersFound(msgspec.Struct, frozen=True, kw_only=True):
    """Some of them.

    @ivar total: how many there are, whatever `after` and `limit`.
    @ivar missing: relays that could not be asked.
    """

    callers: list[RemoteCaller] = []
    total: int = 0
    missing: int = 0


def matching(callers: Iterable[RemoteCaller], query: CallerQuery) -> CallersFound:
    """What a query finds among these."""
    found = [
        each
        for each in callers
        if query.token_id in ("", each.token_id) and query.machine_id in ("", each.target_machine)
    ]
    rest = sorted((each for each in found if each.agent_id > query.after), key=_number)
    return CallersFound(callers=rest[: query.limit], total=len(found))


def _number(caller: RemoteCaller) -> int:
    return caller.agent_id
