"""What the start of an agent needs: its principal, and what it is launched in."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from clove.kernel.principal import Kind, Principal

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.kernel.agents.agent import Agent
    from clove.kernel.launch.agent_stdin import AgentStdin
    from clove.kernel.launch.facilities import PublishedPorts
    from clove.kernel.launch.launch import Launched
    from clove.kernel.launch.program import Find
    from clove.kernel.launch.record import AgentRecord
    from clove.kernel.launch.resource_limits import Children, ResourceLimits
    from clove.messages.agents import LimitsRequest, SpawnRequest
    from clove.sandbox.interface import Output

__all__ = ["SHOWN", "Launches", "Prepare", "end_at_bounds", "principal_of", "shown_command"]

SHOWN: Final = 256
"""Characters of a command that are shown."""
MOST_CODE: Final = 32
"""Characters of code before words that are shown with it."""


class Launches(Protocol):
    """What an agent has on the host, to be launched in it.

    @ivar stdin: what it reads, where that is a stream.
    @ivar ports: its published ones; None: it has had none.
    @ivar end: ends it when its workspace is over its limit.
    """

    stdin: AgentStdin | None
    ports: PublishedPorts | None
    end: Callable[[], None] | None

    async def launch(self, output: Output, *, first: bool) -> Launched:
        """Start its process, or raise L{CloveError}."""

    async def update_limits(
        self, asked: LimitsRequest, bounds: Sequence[ResourceLimits], children: Children = tuple
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Change what its processes may use.

        @param bounds: none of which it may exceed.
        @param children: names and limits of what it has started, none of which may have more then.
        @return: the fields that were named, and those of them that bind at once.
        @raise CloveError: it may not, or cannot, have these.
        """

    def open_ports(self) -> PublishedPorts:
        """Its ports on the host's loopback, to publish more or fewer.

        @raise Unavailable: it has ended.
        """

    def rename(self, name: str) -> None:
        """What it is started from anew has this name from now on."""


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
        cwd=record.request.cwd,
        grants=record.grants,
        limits=limits,
    )


def shown_command(request: SpawnRequest) -> str:
    """What an agent runs, as a line of L{SHOWN} characters at most.

    Code by C{-c} is left out where it is long and words are behind it, which say more: a relay starts a script
    so, by its name.
    """
    words = (request.command or [request.script or "", *(request.args or ())])[:SHOWN]
    shown = [shlex.quote(word[:SHOWN]) for word in words]
    for at in range(2, len(words) - 1):
        if words[at - 1] == "-c" and len(words[at]) > MOST_CODE:
            shown[at] = "…"
    text = " ".join(shown)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def end_at_bounds(clock: IReactorTime, agent: Agent, seconds: float | None) -> None:
    """End an agent that has started when its time is over, restarts and pauses counted in, or when its
    workspace is over its limit.

    @param seconds: None: its time has no end.
    """
    if agent.provision is not None:
        agent.provision.end = functools.partial(agent.stop, 0.0, "disk")
    if seconds is not None:
        call = clock.callLater(seconds, agent.stop, None, "timeout")
        agent.wait().addCallback(lambda _: call.cancel() if call.active() else None)
