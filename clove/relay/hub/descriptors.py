"""Descriptors of the relay's process: each tunnel and each remote agent takes one."""

from __future__ import annotations

import resource

import msgspec

from clove.relay.hub.limits import HubLimits

__all__ = ["raise_descriptors", "within_descriptors"]


def raise_descriptors(wanted: int) -> int:
    """Let this process have so many descriptors if it may; gives how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < wanted:
        soft = wanted if hard == unlimited else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == unlimited else soft


def within_descriptors(limits: HubLimits, others: int, have: int) -> HubLimits:
    """Limits that so many descriptors can keep; a relay that has none left would accept nobody.

    @param others: descriptors that are not the hub's.
    """
    room = max(2, have - others)
    unknown = min(limits.unknown, room // 2)
    links = min(limits.links, room - unknown)
    return msgspec.structs.replace(limits, links=links, unknown=unknown)
