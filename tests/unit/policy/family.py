"""Principals of every kind, some the descendants of others, and SET_PERMS among them."""

from types import SimpleNamespace
from typing import Any

from clove.kernel.calls.permissions import set_perms
from clove.kernel.context import Context
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.kernel.table import TABLE
from clove.messages.permissions import SetPermsRequest
from clove.policy import for_level


class Family:
    """An operator, a guest, and a chain of agents: parent, child, grandchild; a stranger."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.unsubscribed: list[int] = []
        self.judged_again: list[int] = []
        self.operator = self.add(Kind.OPERATOR, "unrestricted")
        self.guest = self.add(Kind.GUEST, "standard")
        self.parent = self.add(Kind.AGENT, "standard", self.operator)
        self.child = self.add(Kind.AGENT, "standard", self.parent)
        self.grandchild = self.add(Kind.AGENT, "standard", self.child)
        self.stranger = self.add(Kind.AGENT, "standard", self.operator)

    def add(self, kind: Kind, level: str, parent: Principal | None = None) -> Principal:
        principal = Principal(
            self.registry.new_id(),
            kind,
            for_level(level),
            ancestors=(parent.agent_id, *parent.ancestors) if parent else (),
            cwd="/work",
        )
        self.registry.add(principal)
        return principal

    def context(self, principal: Principal) -> Context:
        events = SimpleNamespace(close=self.unsubscribed.append)
        gateways = SimpleNamespace(judge_again=self.judged_again.append)
        kernel: Any = SimpleNamespace(
            registry=self.registry, events=events, gateways=gateways, syscalls=TABLE
        )
        return Context(kernel, principal)

    def end(self, principal: Principal) -> None:
        """The agent ends; its children live on."""
        self.registry.remove(principal)

    def set(self, who: Principal, **fields: Any) -> None:
        set_perms(self.context(who), SetPermsRequest(**fields))
