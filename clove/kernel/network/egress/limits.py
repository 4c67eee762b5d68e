"""Bounds of the HTTP syscall."""

from __future__ import annotations

import msgspec

__all__ = ["EgressLimits"]


class EgressLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the kernel's outgoing requests."""

    max_concurrent: int = 64
    """Requests under way in the kernel; one more is a `limit_exceeded`."""
    max_per_agent: int = 16
    """Requests of one agent under way; one more is a `limit_exceeded`."""
    max_lookups: int = 32
    """Names being resolved, those of requests that timed out too (a look-up in a
    thread cannot be stopped); one more is a `limit_exceeded`."""
    max_addresses: int = 16
    """Answers of a look-up that are looked at; the rest are dropped."""
    max_redirects: int = 10
    """Redirects of one request; one more is a `limit_exceeded`."""
    max_body: int = 4 << 20
    """Bytes of a response's body, decompressed; the rest is cut off and `truncated` set."""
    max_headers: int = 64 << 10
    """Bytes of headers, of a request or a response; more are a `limit_exceeded`."""
    max_timeout: float = 600.0
    """Seconds for one request; a longer `timeout` is cut to this."""
    connect_timeout: float = 15.0
    """Seconds to reach one address; then the next one is tried."""
