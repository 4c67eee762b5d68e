"""The configuration of `twistd clove-tunnel`: a TOML file, every key known."""

from __future__ import annotations

import os
from typing import Annotated, Final

import msgspec

from clove.configuration import read_configuration
from clove.errors import InvalidRequest

__all__ = ["TunnelConfig", "load"]

MOST_BYTES: Final = 1 << 16
_WRITE: Final = (
    'write it, with relay_url = "wss://RELAY:8765", kernel_socket = "SOCKET" (remote.socket of the kernel\'s '
    'configuration) and join_token_file = "FILE" (of clove machines join, mode 0600); or name another by --config; '
    "docs/fleet.md has the keys"
)


class TunnelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    relay_url: str
    """`wss://HOST:8765`."""
    kernel_socket: str
    """`remote.socket` of the kernel's configuration."""
    other_relays: Annotated[list[str], msgspec.Meta(max_length=3)] = []
    """URLs of relays that share the first one's database: a tunnel to each; three at most."""
    machine_id: str = ""
    """This machine's name at the relay; empty: its host name."""
    join_token_file: str = ""
    """A file with the one-time token by which this machine joins, which not all users may read; empty: the
    credential `clove.join` of its unit, if it has one."""
    ca_file: str = ""
    """Certificates in PEM that the relay's must be signed by, instead of the host's."""
    proxy: str = ""
    """`http://HOST:PORT` of a proxy that relays are reached through (by CONNECT); it looks their names up."""
    proxy_credentials_file: str = ""
    """A file with `USER:PASSWORD` for the proxy, which not all users may read."""
    plain: bool = False
    """Allow `ws://` to another host: everything is in clear then."""
    state_dir: str = ""
    """Directory for the machine's key; empty: /var/lib/clove-tunnel for root, else
    ~/.local/state/clove-tunnel."""

    @property
    def directory(self) -> str:
        """Where the key is."""
        if self.state_dir:
            return self.state_dir
        if os.geteuid() == 0:
            return "/var/lib/clove-tunnel"
        return os.path.expanduser("~/.local/state/clove-tunnel")


def load(path: str) -> TunnelConfig:
    """Read a configuration file.

    @raise InvalidRequest: it cannot be read, is not TOML, or has an unknown or missing key.
    """
    if not os.path.exists(path):
        raise InvalidRequest(f"there is no {path}", hint=_WRITE)
    return read_configuration(path, TunnelConfig, most=MOST_BYTES, keys="docs/fleet.md")
