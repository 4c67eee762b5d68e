"""Bounds of published ports."""

from __future__ import annotations

import msgspec

__all__ = ["PublishLimits"]


class PublishLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of what programs of the host reach of agents."""

    ports: int = 16
    """Published ports of one agent; SPAWN and UPDATE refuse one more."""
    all_ports: int = 128
    """Published ports of all agents; likewise."""
    connections: int = 64
    """Connections to the published ports of one agent; one more takes the place of an idle one, or
    waits in the backlog until there is one or another ends, and the agent's log says so."""
    opening: int = 8
    """Of these, the ones that are being made; more wait in the backlog."""
    spare: float = 30.0
    """Seconds without a byte, the last one the agent's, after which a connection is idle."""
    all_connections: int = 384
    """Connections to published ports of all agents; one more is reset, and the agent's log says so."""
    connect_timeout: float = 10.0
    """Seconds for the agent's port to answer; then the connection is reset."""
    idle: float = 3600.0
    """Seconds without a byte either way; then a connection is ended."""
    half_idle: float = 120.0
    """The same of a connection of which one side has sent all: a program that has closed its side
    cannot be told from one that waits for an answer."""
