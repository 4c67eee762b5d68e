"""Bounds of the hub."""

from __future__ import annotations

import msgspec

__all__ = ["HubLimits"]


class HubLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the WebSocket side of a relay."""

    links: int = 20_000
    """Tunnels and remote agents that are connected; one more is refused. Less where the process may not
    have as many descriptors (RLIMIT_NOFILE)."""
    links_per_token: int = 256
    """Remote agents with the same token; one more is refused."""
    unknown: int = 1000
    """Connections that have not shown yet who they are; with one more, the oldest of the address that has
    most of them is closed."""
    auth_seconds: float = 10.0
    """Seconds for that; then the connection is closed."""
    channels: int = 4096
    """Callers on one tunnel; one more is refused."""
    kept: int = 4 << 20
    """Bytes of one link that were sent and not acknowledged; then its channels wait."""
    ping_seconds: float = 15.0
    """Seconds between two pings through each tunnel. After twice as many without an answer a machine is
    `stale`, after four times as many its connection is cut."""
    resume_seconds: float = 60.0
    """Seconds for which a link that was cut may be resumed; then its channels are closed."""
    drain_seconds: float = 5.0
    """Seconds in which a relay that stops has its kernels leave: each does as soon as its callers have nothing
    under way through it; then what is left is cut."""
    syscall: int = 1 << 20
    """Bytes of a request's payload (version 1); a larger one is answered by an error."""
    waiting: int = 256
    """Requests of one remote agent (version 1) that are not answered; then nothing more is read from
    it."""
