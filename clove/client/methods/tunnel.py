"""The kernel's tunnel to its relay; for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.client.call import Call, optional
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        TunnelConfigReply,
        TunnelConnectReply,
        TunnelDisconnectReply,
        TunnelListRemotesReply,
        TunnelStatusReply,
    )

__all__ = [
    "tunnel_config",
    "tunnel_connect",
    "tunnel_disconnect",
    "tunnel_remotes",
    "tunnel_status",
]

_CONNECTING = 30.0


def tunnel_connect(
    relay_url: str | None = None, machine_id: str | None = None, token: str | None = None
) -> Call[TunnelConnectReply]:
    """Dial a relay, instead of the one that the kernel has; answers when this machine was let in.

    @param relay_url: such as wss://relay.example:8765; default: as configured.
    @param machine_id: this machine's name there; default: as configured, or its host name.
    @param token: a one-time join token, for a machine that has not joined that relay yet.
    @return: success, connected, relay_url, machine_id, kept (the kernel's next start dials it, too).
    @raise Unavailable: the relay cannot be reached or refuses. @raise PermissionDenied:
    """
    fields = optional(relay_url=relay_url, machine_id=machine_id, token=token)
    return Call(Opcode.TUNNEL_CONNECT, fields, patience=_CONNECTING)


def tunnel_disconnect() -> Call[TunnelDisconnectReply]:
    """End the tunnel, until `tunnel_connect`; or the kernel's next start, if its configuration names a relay.

    @return: success, disconnected (there was one).
    """
    return Call(Opcode.TUNNEL_DISCONNECT, {})


def tunnel_status() -> Call[TunnelStatusReply]:
    """Whether the tunnel stands.

    @return: success, connected, relay_url, machine_id, remote_agent_count, since, problem.
    """
    return Call(Opcode.TUNNEL_STATUS, {}, idempotent=True)


def tunnel_remotes() -> Call[TunnelListRemotesReply]:
    """The remote callers that are connected.

    @return: success, agents [{agent_id, name, token_id, connections}], count.
    """
    return Call(Opcode.TUNNEL_LIST_REMOTES, {}, idempotent=True)


def tunnel_config() -> Call[TunnelConfigReply]:
    """How the tunnel is configured, and what remote callers may do at most.

    @return: success, config {relay_url, machine_id, plain, permissions, network}.
    """
    return Call(Opcode.TUNNEL_CONFIG, {}, idempotent=True)
