"""Observers of the parts: they publish events and write audit entries of what happens there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clove.kernel.audit import AuditLog
    from clove.kernel.events import EventBus
    from clove.kernel.principal import Principal

__all__ = ["Observers"]


class Observers:
    """The callables that `wiring/` gives to the parts, one method for each."""

    def __init__(self, events: EventBus, audit: AuditLog) -> None:
        self._events = events
        self._audit = audit

    def mail(self, to: int, sender: int, sender_name: str, message_id: int) -> None:
        """A message has arrived; only its receiver sees the event."""
        if "MESSAGE_RECEIVED" in self._events.by_type:
            data = {"message_id": message_id, "from": sender, "from_name": sender_name}
            self._events.publish("MESSAGE_RECEIVED", data, sender, only=to)

    def state(self, agent_id: int, key: str, scope: str, action: str) -> None:
        """A value has changed; only its owner sees the event of a private one."""
        if "STATE_CHANGED" in self._events.by_type:
            data = {"key": key, "scope": scope, "action": action}
            only = agent_id if scope == "agent" else None
            self._events.publish("STATE_CHANGED", data, agent_id, only=only)

    def connection_refused(
        self, principal: Principal, host: str, port: int, rule: str, reason: str
    ) -> None:
        """The gateway has refused a connection."""
        details = {"host": host, "port": port, "rule": rule, "error": reason}
        self._record_connection(principal, "CONNECTION_REFUSED", False, details)

    def connection_carried(
        self, principal: Principal, host: str, port: int, sent: int, received: int
    ) -> None:
        """A connection through the gateway has ended."""
        details = {"host": host, "port": port, "sent": sent, "received": received}
        self._record_connection(principal, "CONNECTION_ENDED", True, details)

    def _record_connection(
        self, principal: Principal, action: str, good: bool, details: dict[str, Any]
    ) -> None:
        agent_id, name, family = principal.agent_id, principal.name, principal.family
        self._audit.record("NETWORK", action, agent_id, name, good, details, family)
