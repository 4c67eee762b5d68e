"""TUNNEL_CONNECT, TUNNEL_DISCONNECT, TUNNEL_STATUS, TUNNEL_LIST_REMOTES and TUNNEL_CONFIG: the operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.kernel import authority
from clove.messages.tunnel import (
    TunnelConfigReply,
    TunnelConnectReply,
    TunnelDisconnectReply,
    TunnelListRemotesReply,
)

if TYPE_CHECKING:
    from clove.kernel.context import Context
    from clove.messages.session import EmptyRequest
    from clove.messages.tunnel import TunnelConnectRequest, TunnelStatusReply

__all__ = ["config", "connect", "disconnect", "list_remotes", "status"]


async def connect(ctx: Context, request: TunnelConnectRequest) -> TunnelConnectReply:
    """Dial a relay; answers when it has let this machine in."""
    authority.require(ctx.principal, "TUNNEL_CONNECT", None)
    tunnel, kept = await ctx.kernel.tunnels.join(
        request.relay_url or "", request.machine_id or "", request.token or ""
    )
    target = tunnel.target
    return TunnelConnectReply(
        connected=True, relay_url=target.url, machine_id=target.machine_id, kept=kept
    )


async def disconnect(ctx: Context, request: EmptyRequest) -> TunnelDisconnectReply:
    """End the tunnel, until TUNNEL_CONNECT; or the kernel's next start, if a relay is configured."""
    authority.require(ctx.principal, "TUNNEL_DISCONNECT", None)
    return TunnelDisconnectReply(disconnected=await ctx.kernel.tunnels.leave())


def status(ctx: Context, request: EmptyRequest) -> TunnelStatusReply:
    """Whether the tunnel stands."""
    authority.require(ctx.principal, "TUNNEL_STATUS", None)
    return ctx.kernel.tunnels.status()


def list_remotes(ctx: Context, request: EmptyRequest) -> TunnelListRemotesReply:
    """The remote callers that are connected."""
    authority.require(ctx.principal, "TUNNEL_LIST_REMOTES", None)
    agents = ctx.kernel.tunnels.remotes(ctx.kernel.registry)
    return TunnelListRemotesReply(agents=agents, count=len(agents))


def config(ctx: Context, request: EmptyRequest) -> TunnelConfigReply:
    """How it is configured, and what remote callers may do at most."""
    authority.require(ctx.principal, "TUNNEL_CONFIG", None)
    return TunnelConfigReply(config=ctx.kernel.tunnels.config())
