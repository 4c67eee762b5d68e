"""THINK and LLM_REPORT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.messages.think import LLMReportReply, LLMReportRequest, ThinkReply, ThinkRequest

if TYPE_CHECKING:
    from clove.kernel.context import Context

__all__ = ["llm_report", "think"]


async def think(ctx: Context, request: ThinkRequest) -> ThinkReply:
    """Ask the model; with `stream`, pieces of the answer go ahead of the whole."""
    stream = ctx.stream if request.stream else None
    on_text = None if stream is None else lambda text: stream(ThinkReply(content=text))
    principal = ctx.principal
    return await ctx.kernel.llm.think(
        principal.agent_id, principal.permissions, request, on_text, principal.path
    )


def llm_report(ctx: Context, request: LLMReportRequest) -> LLMReportReply:
    """Charge usage of a model that the client called by itself."""
    principal = ctx.principal
    return ctx.kernel.llm.report(
        principal.agent_id, principal.permissions, request.tokens, request.success
    )
