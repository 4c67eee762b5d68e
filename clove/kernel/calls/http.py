"""HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.messages.http import HttpReply, HttpRequest

if TYPE_CHECKING:
    from clove.kernel.context import Context

__all__ = ["http"]


async def http(ctx: Context, request: HttpRequest) -> HttpReply:
    """Fetch a URL; see L{clove.kernel.network.egress.fetch.Egress.fetch}."""
    principal = ctx.principal
    return await ctx.kernel.egress.fetch(
        principal.permissions,
        request,
        principal.agent_id,
        principal.family,
        lambda: principal.permissions,
    )
