"""Which switch each syscall needs: the one place that says so, for dispatch and for WHY. Pure.

Reading what agents share is reading: who may change it may read it too, and so may who may
read files. What is not listed needs no switch: it concerns the caller itself, shows what
every agent may know (LIST, the machine's metrics), or is governed by authority alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clove.policy.decision import Decision
from clove.policy.permissions import Permissions, check_flag

__all__ = ["NEEDS", "check_needs"]

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "THINK": ("can_think",),
    "EXEC": ("can_exec",),
    "READ": ("can_read",),
    "WRITE": ("can_write",),
    "SPAWN": ("can_spawn",),
    "HTTP": ("can_http",),
    "SEND": ("can_message",),
    "BROADCAST": ("can_message",),
    "REGISTER": ("can_message",),
    "RECV": ("can_message", "can_read"),
    "ACK": ("can_message", "can_read"),
    "STORE": ("can_store",),
    "DELETE": ("can_store",),
    "FETCH": ("can_store", "can_read"),
    "KEYS": ("can_store", "can_read"),
    "EMIT": ("can_emit",),
    "SUBSCRIBE": ("can_emit", "can_read"),
    "POLL_EVENTS": ("can_emit", "can_read"),
}
"""By name of the syscall: the switches of which one suffices."""


def check_needs(permissions: Permissions, syscall: str) -> Decision | None:
    """Does a holder of these permissions have a switch that the syscall needs?

    @param syscall: its name in upper case.
    @return: None if it needs none.
    """
    flags = NEEDS.get(syscall, ())
    for flag in flags:
        if getattr(permissions, flag):
            return check_flag(permissions, flag)
    return check_flag(permissions, flags[0]) if flags else None
