"""Which relay, by which machine's name. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from clove.errors import InvalidRequest
from clove.policy.hosts import normalise_host

__all__ = ["Target"]

MOST_TOKEN = 256
_SCHEMES = {"ws": (False, 8765), "http": (False, 8765), "wss": (True, 8765), "https": (True, 8765)}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A relay to connect to.

    @ivar url: as it was said, in normal form.
    @ivar join_token: is sent until the relay has taken the machine in; "": it has.
    @ivar changes_relay: with the token it may join another relay than it has joined before.
    """

    url: str
    host: str
    port: int
    tls: bool
    machine_id: str
    join_token: str = ""
    changes_relay: bool = False

    @classmethod
    def of(
        cls, relay_url: str, machine_id: str, join_token: str = "", *, plain: bool = False
    ) -> Target:
        """What the words mean.

        @param plain: allow a connection without TLS to another host.
        @raise InvalidRequest: they mean nothing.
        """
        _check_words(machine_id, join_token)
        try:
            parts = urlsplit(relay_url if "://" in relay_url else f"wss://{relay_url}")
            tls, usual = _SCHEMES[parts.scheme]
            host, port = normalise_host(parts.hostname or ""), parts.port or usual
        except (ValueError, KeyError, InvalidRequest):
            host, port, tls, parts = "", 0, False, urlsplit("")
        if (
            not host
            or parts.username
            or parts.query
            or parts.fragment
            or parts.path not in ("", "/")
        ):
            raise InvalidRequest(
                f"{relay_url!r} is no relay's URL", hint="such as wss://relay.example:8765"
            )
        if not (tls or plain or _is_loopback(host)):
            raise InvalidRequest(
                f"{relay_url} is without TLS and not on this machine",
                hint="use wss://, or set tunnel.plain = true where the network is trusted",
            )
        shown = f"[{host}]" if ":" in host else host
        return cls(
            url=f"{'wss' if tls else 'ws'}://{shown}:{port}/",
            host=host,
            port=port,
            tls=tls,
            machine_id=machine_id,
            join_token=join_token,
        )


def _check_words(machine_id: str, join_token: str) -> None:
    """@raise InvalidRequest: one of them can be none."""
    if not machine_id or len(machine_id) > 128 or not machine_id.isprintable():
        raise InvalidRequest("a machine has a name of 1 to 128 printable characters")
    if not join_token.isascii() or len(join_token) > MOST_TOKEN:
        raise InvalidRequest("this is no join token", hint="a token is clove_join_... in one piece")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
