"""What the parts keep of a principal, from its beginning to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.llm import LLM
    from clove.kernel.principal import Principal
    from clove.kernel.wiring.foundation import Foundation
    from clove.kernel.wiring.stores import Stores

__all__ = ["Lifetimes"]


class Lifetimes:
    """Tells the parts when a principal begins and ends."""

    def __init__(self, foundation: Foundation, stores: Stores, llm: LLM) -> None:
        self._registry = foundation.registry
        self._background = foundation.background
        self._stores = stores
        self._llm = llm

    def open(self, principal: Principal) -> None:
        """It is there from now on."""
        parent = self._registry.get(principal.parent_id)
        if parent is not None and not parent.is_operator:  # its quota comes out of its parent's
            self._llm.open(principal.agent_id, parent.agent_id)

    def close(self, principal: Principal) -> None:
        """It is there no more: nothing of it is kept."""
        stores, agent_id = self._stores, principal.agent_id
        for store in (stores.mail, stores.state):
            self._background.finish(store.close(agent_id))
        for part in (stores.results, stores.events):
            part.close(agent_id)
        self._llm.close(agent_id, principal.permissions)

    def report(self, agent: Agent, event: str, data: dict[str, Any]) -> None:
        """Something has happened in an agent's life: it is an event, and in the audit log."""
        stores, agent_id, name = self._stores, agent.agent_id, agent.name
        if event in stores.events.by_type:
            stores.events.publish(
                event, {"agent_id": agent_id, "agent_name": name, **data}, agent_id
            )
        good, family = event != "AGENT_ESCALATED", agent.principal.family
        stores.audit.record("AGENT_LIFECYCLE", event, agent_id, name, good, data, family)
        if event == "AGENT_EXITED":
            self._background.finish(stores.mail.release(agent_id))
