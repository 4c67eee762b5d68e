"""Bounds of the links between relays."""

from __future__ import annotations

import msgspec

__all__ = ["RelayLinkLimits"]


class RelayLinkLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of what goes from one relay to another."""

    lease_seconds: float = 10.0
    """Seconds for which the others believe what a relay has told of its tunnels; it renews that three times as
    often, in one statement for all of them."""
    channels: int = 4096
    """Callers on the link from one relay; one more gets `unavailable`."""
    kept: int = 16 << 20
    """Bytes of one link that were sent and not acknowledged; then its channels wait."""
    unknown: int = 64
    """Connections that have not shown yet which relay they are; with one more, the oldest of the address
    that has most of them is closed."""
    auth_seconds: float = 10.0
    """Seconds for that; then the connection is closed."""
    connect_seconds: float = 5.0
    """Seconds in which another relay is reached; then what was asked gets `unavailable`."""
    ping_seconds: float = 5.0
    """Seconds between two pings of a link; without any message for three times as long it is cut."""
