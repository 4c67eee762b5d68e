"""What the operator is shown of the tunnel, of remote callers and of their configuration."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from clove.kernel.ids import REMOTE_IDS
from clove.messages.tunnel import RemoteEntry, TunnelEntry, TunnelStatusReply

if TYPE_CHECKING:
    from clove.kernel.principal import Principal
    from clove.kernel.remote.callers import Callers
    from clove.kernel.remote.settings import RemoteSettings, TunnelSettings
    from clove.tunnel.tunnel_set import TunnelSet

__all__ = ["config_shown", "remote_entries", "status_of"]


def status_of(tunnel: TunnelSet | None) -> TunnelStatusReply:
    """What TUNNEL_STATUS answers; None: there is no tunnel."""
    if tunnel is None:
        return TunnelStatusReply(problem="there is no tunnel")
    return TunnelStatusReply(
        connected=tunnel.connected,
        relay_url=tunnel.target.url,
        machine_id=tunnel.target.machine_id,
        remote_agent_count=tunnel.channels,
        since=tunnel.changed,
        problem=tunnel.problem,
        tunnels=[
            TunnelEntry(
                relay_url=each.target.url,
                connected=each.connected,
                since=each.changed,
                problem=each.problem,
            )
            for each in tunnel.all
        ],
    )


def remote_entries(principals: Iterable[Principal], callers: Callers) -> list[RemoteEntry]:
    """Of these principals the remote callers."""
    found = []
    for one in principals:
        known = callers.of_number(one.agent_id - REMOTE_IDS[0])
        if one.is_remote and known is not None:
            entry = RemoteEntry(
                agent_id=one.agent_id,
                name=known.name,
                token_id=known.token_id,
                connections=one.connections,
            )
            found.append(entry)
    return found


def config_shown(settings: TunnelSettings, remote: RemoteSettings) -> dict[str, Any]:
    """What is configured, without secrets."""
    return {
        "relay_url": settings.relay_url,
        "other_relays": settings.other_relays,
        "machine_id": settings.machine_id or platform.node(),
        "plain": settings.plain,
        "permissions": remote.cap().to_wire(),
        "network": remote.network,
    }
