"""What the parts do, told to those who listen: events and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.audit import AuditLog
    from clove.kernel.events import EventBus
    from clove.kernel.principal import Principal

__all__ = ["Reports"]


class Reports:
    """Makes events and audit entries of what is reported."""

    def __init__(self, events: EventBus, audit: AuditLog) -> None:
        self._events = events
        self._audit = audit

    def agent(self, agent: Agent, event: str, data: dict[str, Any]) -> None:
        """Something in an agent's life."""
        facts = {"agent_id": agent.agent_id, "agent_name": agent.name, **data}
        self._events.publish(event, facts, agent.agent_id)
        good = event not in ("AGENT_ESCALATED",)
        family = agent.principal.family
        self._audit.record("AGENT_LIFECYCLE", event, agent.agent_id, agent.name, good, data, family)

    def mail(self, to: int, sender: int, sender_name: str, message_id: int) -> None:
        """A message has come; its receiver alone is told."""
        if self._events.wanted("MESSAGE_RECEIVED"):
            data = {"message_id": message_id, "from": sender, "from_name": sender_name}
            self._events.publish("MESSAGE_RECEIVED", data, sender, lambda seen: seen == to)

    def state(self, agent_id: int, key: str, scope: str, action: str) -> None:
        """A value has changed; of a private one its owner alone is told."""
        if self._events.wanted("STATE_CHANGED"):
            data = {"key": key, "scope": scope, "action": action}
            private = scope == "agent"
            self._events.publish(
                "STATE_CHANGED",
                data,
                agent_id,
                (lambda seen: seen == agent_id) if private else None,
            )

    def connection_refused(
        self, principal: Principal, host: str, port: int, rule: str, reason: str
    ) -> None:
        """The gateway has refused a connection."""
        details = {"host": host, "port": port, "rule": rule, "error": reason}
        agent_id, name = principal.agent_id, principal.name
        self._audit.record(
            "NETWORK", "CONNECTION_REFUSED", agent_id, name, False, details, principal.family
        )

    def connection_carried(
        self, principal: Principal, host: str, port: int, sent: int, received: int
    ) -> None:
        """A connection through the gateway has ended."""
        details = {"host": host, "port": port, "sent": sent, "received": received}
        agent_id, name = principal.agent_id, principal.name
        self._audit.record(
            "NETWORK", "CONNECTION_ENDED", agent_id, name, True, details, principal.family
        )
