"""ASYNC_POLL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.messages.session import AsyncPollReply

if TYPE_CHECKING:
    from clove.kernel.context import Context
    from clove.messages.session import AsyncPollRequest

__all__ = ["async_poll"]


def async_poll(ctx: Context, request: AsyncPollRequest) -> AsyncPollReply:
    """Finished asynchronous requests, oldest first."""
    found = ctx.kernel.results.collect(ctx.principal.agent_id, request.max)
    return AsyncPollReply(count=len(found), results=found)
