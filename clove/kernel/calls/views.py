"""Which files a request is about: the caller's, or those of an agent that an operator or remote caller names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.errors import Unavailable
from clove.kernel import authority
from clove.kernel.remote.granted import require_agent

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.context import Context
    from clove.sandbox.interface import IView

__all__ = ["FILES", "agent_of", "view_of"]

FILES = "files of agents"
"""The row of authority."""


async def view_of(ctx: Context, agent: str | int | None) -> tuple[IView, str | None]:
    """The view, and where relative paths start in it (None: in its own directory).

    @param agent: a name or an id; None: the caller.
    @raise PermissionDenied: it is not the caller's to look into.
    @raise Unavailable: it does not run now.
    """
    if ctx.principal.is_remote:
        require_agent(agent)
    if agent is None:
        return await ctx.principal.require_view(), ctx.principal.cwd
    found = agent_of(ctx, agent)
    view = found.principal.view
    if view is None:
        raise Unavailable(
            f"agent {found.name!r} is {found.state}: its files cannot be reached now",
            hint="try again when it runs",
        )
    return view, found.principal.cwd


def agent_of(ctx: Context, agent: str | int) -> Agent:
    """The agent that an operator names by its name or id.

    @raise PermissionDenied: its files are not the caller's to look into.
    """
    agent_id, name = (agent, None) if isinstance(agent, int) else (None, agent)
    found = ctx.kernel.agents.find(agent_id=agent_id, name=name)
    authority.require(ctx.principal, FILES, found.principal)
    return found
