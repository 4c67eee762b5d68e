"""Bounds of connections."""

from __future__ import annotations

import msgspec

__all__ = ["ConnectionLimits"]


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for each connection, and for all of them."""

    max_payload: int = 1 << 20
    """Bytes of a request's payload, inclusive; a larger one gets an error and a close."""
    max_outstanding: int = 256
    """Requests in work on one connection (version 2); one more gets `limit_exceeded`."""
    max_waiting: int = 256
    """Requests read but not begun (version 1); at the limit, or at `max_payload` bytes
    of them, nothing more is read."""
    held: int = 64 << 20
    """Bytes of requests in work (version 2), over all connections of one agent; one
    more gets `limit_exceeded`."""
    family_turn: float = 0.0005
    """Seconds of the reactor's time for which one family of agents is served before the others
    have their turn; what it asks beyond waits, and is not refused."""
    long_work: int = 8
    """Requests of one family, each of more than a turn, that are under way at once; the others wait. What
    they have found so far is held and counted nowhere: entries of the audit log for 500 took 90 MiB."""
    spin: float = 0.00004
    """Seconds for which the kernel goes on polling before it sleeps, so that the next request of a client
    that waits for one reply after the other need not wake it; it notices where that does not pay. 0: it
    sleeps at once."""
    frame_timeout: float = 30.0
    """Seconds for a whole frame to arrive; then an error and a close."""
    write_timeout: float = 60.0
    """Seconds for which a peer may read nothing while replies wait; then it is cut off."""
    idle_timeout: float = 0.0
    """Seconds without a request after which a connection is closed; 0: never."""
    unsent: int = 64 << 20
    """Bytes of replies that may wait for an agent, over all its connections; the
    connection that takes it past that is cut off. LOGS with `follow` waits while a
    quarter of it does."""
    all_buffers: int = 256 << 20
    """Bytes of requests and unread replies that wait on all connections: past it, or past a
    family's share of them, the connection that takes it there is closed, and a request in work
    (version 2) gets `limit_exceeded`. A request in work counts for 4 KiB more than it has, but
    for the first 8 small ones of a connection."""
    max_connections: int = 4096
    """Connections in all; one more, or one past a family's share of them, gets an error and a
    close. Less where the process
    may not have as many descriptors (RLIMIT_NOFILE): a quarter of them is kept."""
    max_connections_per_agent: int = 64
    """Connections of one spawned agent, or of one guest's user id; one more gets an
    error and a close."""
    connects: float = 200.0
    """Connections a second that one family of agents, or one guest's user, may open; more of
    agents wait in the backlog of their sockets, a guest's get an error and a close."""
    connects_at_once: int = 256
    """Connections that it may open at once before that holds."""
    warnings: int = 16
    """Lines in the kernel's log about requests of one agent that were not wholly understood
    (version 1); further ones are told in the replies alone."""
    operator_connections: int = 64
    """Connections of `max_connections` that only operators can have; a quarter of
    them at most."""
    max_ancestors: int = 64
    """Ancestors of a process that connects to the main socket which the kernel looks at, with
    at most four short reads of /proc each, to find its agent; a process with more is refused."""
