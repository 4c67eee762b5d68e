"""TUNNEL_CONNECT, TUNNEL_DISCONNECT, TUNNEL_STATUS, TUNNEL_LIST_REMOTES and TUNNEL_CONFIG."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "RemoteEntry",
    "TunnelConfigReply",
    "TunnelConnectReply",
    "TunnelConnectRequest",
    "TunnelDisconnectReply",
    "TunnelEntry",
    "TunnelListRemotesReply",
    "TunnelStatusReply",
]


class TunnelConnectRequest(Request, frozen=True, kw_only=True):
    """Dial a relay; what is left out is as configured.

    `token` is a one-time join token, for a machine that has not joined that relay yet.
    """

    relay_url: Annotated[str, msgspec.Meta(max_length=2048)] | None = None
    machine_id: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    token: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class TunnelConnectReply(Reply, frozen=True, kw_only=True):
    """The relay has let this machine in. `kept`: the kernel's next start dials it, too."""

    connected: bool = False
    relay_url: str = ""
    machine_id: str = ""
    kept: bool = False


class TunnelDisconnectReply(Reply, frozen=True, kw_only=True):
    """`disconnected`: there was a tunnel."""

    disconnected: bool = False


class TunnelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The tunnel to one relay."""

    relay_url: str
    connected: bool
    since: float
    problem: str


class TunnelStatusReply(Reply, frozen=True, kw_only=True):
    """`since`: when it was connected or cut, in seconds since the epoch; `problem`: why it is not.

    `tunnels`: to each relay of which one is configured; the other fields are those of the first that is
    connected, or of the first.
    """

    connected: bool = False
    relay_url: str = ""
    machine_id: str = ""
    remote_agent_count: int = 0
    since: float = 0.0
    problem: str = ""
    tunnels: list[TunnelEntry] = []


class RemoteEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A remote caller: its id here, its name and token at the relay, and its connections."""

    agent_id: int
    name: str
    token_id: str
    connections: int


class TunnelListRemotesReply(Reply, frozen=True, kw_only=True):
    """The remote callers that are connected."""

    agents: list[RemoteEntry] = []
    count: int = 0


class TunnelConfigReply(Reply, frozen=True, kw_only=True):
    """What the configuration says, without secrets; `permissions`: what a remote caller may do at most."""

    config: dict[str, Any] = {}
