"""The bounds of sandboxes as the kernel holds them."""

from __future__ import annotations

import msgspec

__all__ = ["LaunchLimits"]


class LaunchLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of every sandbox."""

    launch_timeout: float = 10.0
    """Seconds until the program must run; then the launch fails and nothing is left."""
    request_timeout: float = 10.0
    """Seconds for init to answer a request; then the request fails with `timeout`."""
    commands: int = 64
    """Commands at once in one sandbox; one more is refused with `limit_exceeded`."""
    handles: int = 64
    """Resolved paths held at once in one sandbox; one more is refused likewise."""
    requests: int = 256
    """Requests to one init under way at once; one more is refused likewise."""
