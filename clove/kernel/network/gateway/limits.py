"""Bounds of the sandboxed agents' way to the network."""

from __future__ import annotations

import msgspec

__all__ = ["GatewayLimits"]


class GatewayLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of each agent's gateway."""

    connections: int = 64
    """Connections of one agent; one more takes the place of an idle one, or waits in the backlog until
    there is one or another ends, and the agent's log says so."""
    spare: float = 2.0
    """Seconds without a byte, the last one the server's, after which a connection is idle."""
    all_connections: int = 384
    """Connections of all agents; one more is reset, and the agent's log says so."""
    names: int = 1024
    """Names of one agent that have an address; the one unused for longest loses its."""
    lookups: int = 16
    """Names of one agent being resolved; the answer to one more is SERVFAIL."""
    all_lookups: int = 64
    """Names of all agents being resolved; one more is likewise refused."""
    addresses: int = 8
    """Addresses of one name that are tried; the rest are dropped."""
    fresh: float = 15.0
    """Seconds for which a resolved name is not asked for again."""
    ttl: int = 5
    """Seconds that a program may keep an answer."""
    resolver_connections: int = 8
    """Connections of one agent to its resolver by TCP; one more is closed."""
    head: int = 64 << 10
    """Bytes of a TLS ClientHello or of the head of an HTTP request; more are refused."""
    connect_timeout: float = 10.0
    """Seconds to reach one address; then the next one is tried."""
    idle: float = 900.0
    """Seconds without a byte either way; then a connection is ended."""
