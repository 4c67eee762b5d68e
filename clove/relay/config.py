"""The relay's configuration: a TOML file, every key known, every value checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from clove.configuration import read_configuration
from clove.errors import InvalidRequest
from clove.loop.watchdog import WatchdogSettings
from clove.regular import read_secret
from clove.relay.forwarded import Proxies
from clove.relay.hub.limits import HubLimits
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.rest.limits import RestLimits
from clove.relay.store.interface import StoreLimits
from clove.relay.tokens.lockout import LockOutLimits
from clove.systemd.credentials import DATABASE, credential_path

__all__ = [
    "HubSettings",
    "Limits",
    "LinkSettings",
    "RelayConfig",
    "RestSettings",
    "StoreSettings",
    "TLSSettings",
    "load",
]

MOST_BYTES: Final = 1 << 20
"""Bytes of a configuration file."""
MOST: Final = 2**53
MOST_ADDRESS: Final = 4096
"""Bytes of a connection string."""
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class HubSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The WebSocket side, for kernels and remote agents."""

    listen: str = "127.0.0.1"
    """An address of this machine; `0.0.0.0` or `::` for all of them."""
    port: Port = 8765
    """TCP port; 0: one that is free."""
    plain: bool = False
    """Serve without TLS on an address that is not loopback; for where something in front of the
    relay does TLS."""
    trusted_proxies: list[str] = []
    """Networks of proxies in front of the relay, such as `10.0.0.7` or `10.1.0.0/16`: what they say in
    `X-Forwarded-For` or `Forwarded` is where a client comes from."""


class RestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The REST API, for people and their programs."""

    listen: str = "127.0.0.1"
    """An address of this machine; `0.0.0.0` or `::` for all of them."""
    port: Port = 8766
    """TCP port; 0: one that is free."""
    plain: bool = False
    """Serve without TLS on an address that is not loopback; for where something in front of the
    relay does TLS."""
    trusted_proxies: list[str] = []
    """Networks of proxies in front of the relay, such as `10.0.0.7` or `10.1.0.0/16`: what they say in
    `X-Forwarded-For` or `Forwarded` is where a client comes from."""
    hosts: list[str] = []
    """Names under which the relay is reached; requests for other names are refused (DNS rebinding).
    Addresses and `localhost` always are its own."""


class TLSSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The relay's certificate. Both files are read again when they have changed."""

    certificate: str = ""
    """File with the certificate and those that lead to its authority, in PEM; empty: no TLS."""
    key: str = ""
    """File with its private key, in PEM, which not all users may read."""


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where tokens and machines are kept."""

    postgresql: str = ""
    """Connection string of a PostgreSQL database that several relays share, such as
    `postgresql://clove@db.example.org/clove?passfile=/etc/clove/pgpass`; empty: the credential `clove.database`
    of the relay's unit, if it has one, else a file in `state_dir`."""


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The links between relays that share a database; `[tls]` is for these as well."""

    url: str = ""
    """Where other relays reach this one, such as `wss://a.relay.example.org:8767`, with the port on which it
    listens if it names none; empty: nowhere, so that machines are reached only where their tunnel is."""
    listen: str = "127.0.0.1"
    """An address of this machine; `0.0.0.0` or `::` for all of them."""
    port: Port = 8767
    """TCP port; 0: one that is free."""
    plain: bool = False
    """Links to and from other hosts without TLS: only over a network that is protected otherwise."""
    ca_file: str = ""
    """Certificates in PEM that the other relays' have to be signed by; empty: the host's authorities."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every limit of every part."""

    store: StoreLimits = StoreLimits()
    lockout: LockOutLimits = LockOutLimits()
    rest: RestLimits = RestLimits()
    hub: HubLimits = HubLimits()
    link: RelayLinkLimits = RelayLinkLimits()


class RelayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    state_dir: str = ""
    """Directory for the store; empty: /var/lib/clove-relay for root, else
    ~/.local/state/clove-relay."""
    hub: HubSettings = HubSettings()
    rest: RestSettings = RestSettings()
    tls: TLSSettings = TLSSettings()
    store: StoreSettings = StoreSettings()
    link: LinkSettings = LinkSettings()
    watchdog: WatchdogSettings = WatchdogSettings()
    limits: Limits = Limits()


def load(path: str | None) -> RelayConfig:
    """Read a configuration file; without one, the defaults.

    @raise InvalidRequest: the file cannot be read, is not TOML, has an unknown key or a wrong value;
        the text names the key.
    """
    given = (
        RelayConfig()
        if path is None
        else read_configuration(path, RelayConfig, most=MOST_BYTES, keys="docs/fleet.md")
    )
    config = _with_credential(given)
    for problem in problems(config):
        raise InvalidRequest(
            f"{path or 'the configuration'}: {problem}", hint="docs/fleet.md lists the keys"
        )
    return config


def _with_credential(config: RelayConfig) -> RelayConfig:
    """With the database that the relay's unit was given, if the file names none."""
    path = "" if config.store.postgresql else credential_path(DATABASE)
    if not path:
        return config
    try:
        address = read_secret(path, MOST_ADDRESS).decode().strip()
    except ValueError as error:
        raise InvalidRequest(f"no database: {error}", hint="see store.postgresql") from None
    return msgspec.structs.replace(config, store=StoreSettings(postgresql=address))


def problems(config: RelayConfig) -> Iterator[str]:
    """What is wrong with values of the right type."""
    for field in Limits.__struct_fields__:
        limits = getattr(config.limits, field)
        for name in limits.__struct_fields__:
            if not 0 < getattr(limits, name) <= MOST:
                yield f"limits.{field}.{name} is a number above 0"
    if bool(config.tls.certificate) != bool(config.tls.key):
        yield "tls.certificate and tls.key go together"
    if config.link.url and not config.store.postgresql:
        yield "link.url is for several relays, which share store.postgresql"
    for name, settings in (("rest", config.rest), ("hub", config.hub)):
        yield from _proxies(name, settings)
        yield from _listening(name, settings, secure=bool(config.tls.certificate))
    yield from _listening("link", config.link, secure=bool(config.tls.certificate))


def _proxies(name: str, settings: RestSettings | HubSettings) -> Iterator[str]:
    try:
        Proxies(settings.trusted_proxies)
    except InvalidRequest as error:
        yield f"{name}.trusted_proxies: {error} ({error.hint})"


def _listening(
    name: str, settings: RestSettings | HubSettings | LinkSettings, *, secure: bool
) -> Iterator[str]:
    try:
        address = ipaddress.ip_address(settings.listen)
    except ValueError:
        yield f"{name}.listen is an address of this machine, such as 0.0.0.0"
        return
    if not (secure or settings.plain or address.is_loopback):
        yield (
            f"{name}.listen is not loopback, so tokens would cross the network unencrypted: set "
            f"tls.certificate and tls.key (or {name}.plain = true behind something that does TLS)"
        )
