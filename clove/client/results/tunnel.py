"""What the calls of `clove.messages.tunnel` give. Made by tools/results.py: do not edit."""

from typing import Any, TypedDict

from clove.client.results.base import Reply

__all__ = [
    "RemoteEntry",
    "TunnelConfigReply",
    "TunnelConnectReply",
    "TunnelDisconnectReply",
    "TunnelEntry",
    "TunnelListRemotesReply",
    "TunnelStatusReply",
]


class TunnelConnectReply(Reply):
    """The relay has let this machine in. `kept`: the kernel's next start dials it, too."""

    connected: bool
    relay_url: str
    machine_id: str
    kept: bool


class TunnelDisconnectReply(Reply):
    """`disconnected`: there was a tunnel."""

    disconnected: bool


class TunnelEntry(TypedDict):
    """The tunnel to one relay."""

    relay_url: str
    connected: bool
    since: float
    problem: str


class TunnelStatusReply(Reply):
    """`since`: when it was connected or cut, in seconds since the epoch; `problem`: why it is not.

    `tunnels`: to each relay of which one is configured; the other fields are those of the first that is
    connected, or of the first.
    """

    connected: bool
    relay_url: str
    machine_id: str
    remote_agent_count: int
    since: float
    problem: str
    tunnels: list[TunnelEntry]


class RemoteEntry(TypedDict):
    """A remote caller: its id here, its name and token at the relay, and its connections."""

    agent_id: int
    name: str
    token_id: str
    connections: int


class TunnelListRemotesReply(Reply):
    """The remote callers that are connected."""

    agents: list[RemoteEntry]
    count: int


class TunnelConfigReply(Reply):
    """What the configuration says, without secrets; `permissions`: what a remote caller may do at most."""

    config: dict[str, Any]
