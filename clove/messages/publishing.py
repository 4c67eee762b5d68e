"""Published ports: what SPAWN and UPDATE ask for, and what replies show."""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["PublishRequest", "PublishedPort"]


class PublishRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TCP port of an agent that is to be reachable on the host's loopback.

    `host_port`: absent: the same number; 0: one that is free.
    """

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    host: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "127.0.0.1"
    host_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None


class PublishedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port that is published, and how many connections to it there are."""

    port: int
    host: str
    host_port: int
    connections: int = 0
