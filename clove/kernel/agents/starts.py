"""What the start of an agent needs: its principal, and what it is launched in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from clove.kernel.principal import Kind, Principal

if TYPE_CHECKING:
    from clove.kernel.launch.launch import Launched
    from clove.kernel.launch.program import Find
    from clove.kernel.launch.record import AgentRecord
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.sandbox.interface import Output

__all__ = ["Launches", "Prepare", "principal_of"]


class Launches(Protocol):
    """What an agent has on the host, to be launched in it."""

    async def launch(self, output: Output, *, first: bool) -> Launched:
        """Start its process, or raise L{CloveError}."""


Prepare = Callable[["Principal", "AgentRecord", "Find | None"], Awaitable[Launches]]


def principal_of(record: AgentRecord, limits: ResourceLimits | None = None) -> Principal:
    """The principal of an agent that is to start.

    @param limits: its parent's; None: nothing bounds it, or the record has its own.
    """
    return Principal(
        record.agent_id,
        Kind.AGENT,
        record.permissions,
        name=record.request.name,
        ancestors=record.ancestors,
        family=record.family,
        sandboxed=record.request.sandboxed,
        network=record.network,
        grants=record.grants,
        limits=limits,
    )
