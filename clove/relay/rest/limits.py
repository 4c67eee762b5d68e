"""Bounds of the REST API."""

from __future__ import annotations

import msgspec

__all__ = ["RestLimits"]


class RestLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the relay's REST API."""

    connections: int = 1024
    """Connections; one more is closed at once."""
    connections_per_address: int = 64
    """Of one address (IPv4, or the first 64 bits of IPv6); one more is closed at once."""
    body: int = 1 << 20
    """Bytes of a request's body; a larger one gets 413 and a close, before it is read."""
    deploy_body: int = 16 << 20
    """The same for what is deployed."""
    bodies: int = 64 << 20
    """Bytes of bodies that are being received, over all connections; one more gets 503 and a close."""
    request_timeout: float = 60.0
    """Seconds in which a whole request must arrive; then the connection is closed, as it is when none
    comes in this time."""
    rate: float = 50.0
    """Requests a second of one token, or of one address without a token; one more gets 429."""
    burst: int = 200
    """Requests that may come at once before that holds."""
    deploy_machines: int = 1000
    """Machines that one deploy with a selector is for; more get 413."""
    deploy_at_once: int = 16
    """On so many of them it is started at the same time."""
    streams: int = 256
    """Streams of agents' output that are read, or may be gone on with; one more takes the place of one that
    nothing reads, or gets 503."""
    streams_per_token: int = 64
    """The same for those of one token."""
    stream_kept: int = 1 << 20
    """Bytes of one stream in the relay's memory, half of them for a reader that was cut off and comes back;
    while as many wait for the reader, no more are fetched from the kernel."""
    stream_seconds: float = 60.0
    """Seconds for which an attached stream waits for a reader that was cut off; then the agent goes on
    without."""
    denials: int = 2000
    """Refusals that wait to be kept (limits.store.denials). At most a quarter may be of one token or, without a token,
    of one address (IPv4, or the first 64 bits of IPv6); at most half may be without a token. Past that the oldest of
    the same token, address or kind is forgotten."""
    repeat_wait: float = 20.0
    """Seconds for which a request with an `Idempotency-Key` waits for the answer of the first with it, where
    another relay works at that; then it gets 503."""
    repeats_late: int = 1000
    """Keys of which the store could not be told what has become of their requests, and is told later; a quarter of them
    of one token."""
    logins: int = 64
    """Computers that wait for somebody to confirm their login; one more gets 503."""
    logins_per_address: int = 4
    """Of one address (IPv4, or the first 64 bits of IPv6); one more takes the place of its oldest."""
    metadata: int = 8192
    """Bytes of a machine's metadata, and of a token's permissions, as JSON; more get 413."""
