"""The `[tunnel]` and `[remote]` sections of the configuration. Pure."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clove.errors import InvalidRequest
from clove.policy import Level, Permissions, for_level, parse, within_cap

__all__ = ["RemoteLimits", "RemoteSettings", "TunnelSettings", "machine_name"]


class TunnelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The relay that this kernel dials out to (docs/fleet.md)."""

    relay_url: str = ""
    """`wss://HOST:8765`; empty: the relay that the operator has had this kernel join by TUNNEL_CONNECT, if there is one."""
    other_relays: Annotated[list[str], msgspec.Meta(max_length=3)] = []
    """URLs of relays that share that one's database: a tunnel to each, so that this machine is reached while
    one of them stands; three at most. They get no token, and no proof before the machine has joined."""
    machine_id: str = ""
    """This machine's name at the relay; empty: its host name."""
    join_token_file: str = ""
    """A file with the one-time token by which this machine joins, which not all users may read. It is
    sent to `relay_url` alone, and no more once the machine has joined. Empty: the credential `clove.join`
    of its unit, if it has one (docs/systemd.md)."""
    ca_file: str = ""
    """Certificates in PEM that the relay's may be signed by, besides the host's."""
    plain: bool = False
    """Allow `ws://` to another host: everything is in clear then. Without it, `ws://` is for loopback."""


class RemoteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What callers that come through the relay may do here at most."""

    level: Level = Level.STANDARD
    """Their permissions, within which those of their token are; with `can_spawn`, unless `permissions`
    says otherwise. They have no files and commands of this host, whatever this says."""
    permissions: dict[str, Any] = {}
    """Fields of permissions (docs/wire.md) that differ from the level's."""
    network: bool = False
    """They may spawn agents that connect to hosts (`can_http` is needed for it, too)."""
    forward: bool = True
    """They may connect to ports that their own agents listen on inside their sandboxes (DIAL, `clove forward`)."""
    socket: str = ""
    """Where `twistd clove-tunnel` hands over callers, if the tunnel is not this kernel's own; empty: nowhere.
    Only processes of the kernel's own user or of `tunnel_user`, which are no agents, get in."""
    tunnel_user: str = ""
    """A user, by name, under which `twistd clove-tunnel` runs beside a kernel of root: it can hand over callers and
    nothing else. The socket belongs to it. Empty: the tunnel runs under the kernel's own user."""

    def __post_init__(self) -> None:
        self.cap()

    def cap(self) -> Permissions:
        """The most that a remote caller may do.

        @raise InvalidRequest: the permissions are none.
        """
        base = msgspec.structs.replace(for_level(self.level), can_spawn=True)
        return parse(None, self.permissions, base)

    def permissions_of(self, asked: dict[str, Any]) -> Permissions:
        """What a caller may do.

        @param asked: its token's permissions, as the relay says them.
        @raise CloveError: they are none, or cannot be held against the cap.
        """
        return within_cap(self.cap(), asked)


class RemoteLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Callers that come through a relay."""

    channels: int = 256
    """Connections of remote callers on the tunnel; one more is closed with an error."""
    unacknowledged: int = 4 << 20
    """Bytes that were sent through the tunnel and not acknowledged by the relay; then its channels
    wait."""
    dialled: int = 64
    """Connections to ports of agents (DIAL) that the callers with one token have; one more is refused."""
    commands: int = 64
    """Programs of RUN whose streams the kernel keeps for the callers with one token: those that run, and those
    that have ended and whose output was not read to its end. One more is refused."""
    known: int = 4096
    """Tokens and names of remote callers that have an id here; the one that was here longest ago is
    forgotten first, and has a new id when it comes again: it does not manage its earlier agents then."""


def machine_name(configured: str, host_name: str) -> str:
    """The name of this machine at the relay.

    @raise InvalidRequest: it has none.
    """
    name = configured or host_name
    if not name:
        raise InvalidRequest("this machine has no host name", hint="set tunnel.machine_id")
    return name
