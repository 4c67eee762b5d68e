"""The address that machines dial, and from where it leads to the relay. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from clove.errors import InvalidRequest

__all__ = ["check_hub", "check_reachable", "is_loopback"]

_SCHEMES: Final = ("ws", "wss")


def check_hub(hub: str) -> str:
    """An address of a relay's WebSockets; gives it.

    @raise InvalidRequest: it is none.
    """
    try:
        parts = urlsplit(hub)
        whole = parts.hostname and (parts.port is None or parts.port > 0) and hub.isprintable()
    except ValueError:
        whole = False
    if not whole or parts.scheme not in _SCHEMES or parts.username or parts.path.strip("/"):
        raise InvalidRequest(
            f"{hub!r} is no address of a relay's WebSockets",
            hint="it is like --hub wss://relay.example.org:8765",
        )
    return hub


def check_reachable(hub: str, machine: str) -> None:
    """Refuse a relay that a machine elsewhere cannot reach, or only in clear.

    @param machine: what it is, for the error: C{a pod}.
    @raise InvalidRequest: it is such a one.
    """
    parts = urlsplit(hub)
    if is_loopback(hub) or parts.hostname in ("0.0.0.0", "::"):  # noqa: S104 it is refused
        raise InvalidRequest(
            f"{machine} cannot reach the relay at {hub}",
            hint="name the address that it has from there: --hub wss://relay.example.org:8765",
        )
    if parts.scheme != "wss":
        raise InvalidRequest(
            f"{hub} is without TLS: join tokens and agents' files would be sent in clear",
            hint="give the relay a certificate (docs/fleet.md, [tls]), and say --hub wss://...",
        )


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
