"""The agents that live, and those that ended last: found by id, by name, or all of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clove.errors import NotFound
from clove.kernel.agents.ended_agents import EndedAgents
from clove.spelling import guess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clove.kernel.agents.agent import Agent
    from clove.sharing.shares import ShareLimits

__all__ = ["KnownAgents"]

COMPARED: Final = 256
"""Names that an unknown one is compared with, for the hint of an error."""


class KnownAgents:
    """What L{clove.kernel.agents.agents.Agents} knows.

    @param ended: how many that have ended are kept.
    @param output: bytes of memory for the output of those together.
    """

    def __init__(self, ended: int, output: int, shares: ShareLimits | None = None) -> None:
        self._live: dict[int, Agent] = {}
        self._ended = EndedAgents(ended, output, shares)

    def add(self, agent: Agent) -> None:
        """One that starts."""
        self._live[agent.agent_id] = agent

    def end(self, agent: Agent) -> None:
        """It lives no more, and is kept for a while unless it is to be forgotten."""
        self._live.pop(agent.agent_id, None)
        if not agent.forget:
            self._ended.add(agent)

    def get_live(self, agent_id: int) -> Agent | None:
        """A live one by its id."""
        return self._live.get(agent_id)

    def forget(self, agent_id: int) -> None:
        """Keep an ended one no longer."""
        self._ended.remove(agent_id)

    def __len__(self) -> int:
        """How many live."""
        return len(self._live)

    def live(self) -> Iterator[Agent]:
        """The live ones, oldest first."""
        return iter(list(self._live.values()))

    def ended(self) -> Iterator[Agent]:
        """The ended ones, in the order in which they ended."""
        return iter(self._ended)

    def find(self, *, agent_id: int | None, name: str | None, ended: bool = False) -> Agent:
        """By id, else by name.

        @param ended: also among the ended ones that are kept, latest first.
        @raise NotFound: there is none; it names the near names of live agents.
        """
        if agent_id is not None:
            found = self._live.get(agent_id) or (self._ended.get(agent_id) if ended else None)
        else:
            found = self._named(name, ended)
        if found is not None:
            return found
        known = self._ended.get(agent_id) if agent_id is not None else self._ended.named(name)
        if known is not None:
            raise NotFound(
                f"agent {known.name!r} ({known.agent_id}) has ended: {known.lifecycle.reason}",
                hint="start it again with SPAWN (clove run)",
            )
        named = f"id {agent_id}" if agent_id is not None else f"name {name!r}"
        raise NotFound(f"no agent with {named}", hint=self._hint(name))

    def _named(self, name: str | None, ended: bool) -> Agent | None:
        for agent in self._live.values():
            if agent.name == name:
                return agent
        return self._ended.named(name) if ended else None

    def _hint(self, name: str | None) -> str:
        """What an unknown name may have been meant for. LIST shows names to all."""
        listed = "LIST (clove ps) shows the agents"
        names = tuple(agent.name for agent in list(self._live.values())[:COMPARED])
        close = guess(name or "", names)
        return f"did you mean {close}? {listed}" if close else listed
