"""Who may do what to whom: the one place that says so. Pure.

Permissions (L{clove.policy}) say what a principal may do at all; this says on whom. Each call
that names another principal, or shows what is another's, has a row: what the target may be to
the caller. What has no row, and whoever a row does not name, is refused. `docs/authority.md`
has the table for readers, and a test compares the two.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from clove.errors import PermissionDenied

if TYPE_CHECKING:
    from clove.kernel.principal import Kind

__all__ = [
    "EVERYBODY",
    "TABLE",
    "Relation",
    "Row",
    "Standing",
    "check_spawn",
    "is_free",
    "may",
    "may_resume",
    "may_take_name",
    "relation",
    "require",
    "visible",
]


class Standing(Protocol):
    """What is looked at of a principal, alive or ended.

    @ivar ancestors: ids of who spawned it, who spawned that one, and so on; they stay what
        they are when those have ended or are long forgotten.
    """

    @property
    def agent_id(self) -> int:
        """Never reused within a kernel's life."""

    @property
    def is_operator(self) -> bool:
        """The kernel's own user or root, on the main socket."""

    @property
    def ancestors(self) -> tuple[int, ...]:
        """See the class."""


S = TypeVar("S", bound=Standing)


class Relation(enum.Enum):
    """What a target is to the caller."""

    SELF = "self"
    CHILD = "child"
    DESCENDANT = "descendant"  # a child's child, at any remove
    ANCESTOR = "ancestor"  # its parent too
    SIBLING = "sibling"  # of the same parent
    STRANGER = "stranger"  # all others, and whoever is not known


SELF: Final = frozenset([Relation.SELF])
OFFSPRING: Final = frozenset([Relation.CHILD, Relation.DESCENDANT])
FAMILY: Final = SELF | OFFSPRING
EVERYBODY: Final = frozenset(Relation)
NOBODY: Final[frozenset[Relation]] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """Whom a call may concern.

    @ivar agents: for agents and guests.
    @ivar operators: for operators.
    @ivar rule: what a denial names.
    @ivar hint: and what it advises.
    """

    agents: frozenset[Relation]
    operators: frozenset[Relation] = EVERYBODY
    rule: str = "descendants"
    hint: str = "an agent may ask about itself and its descendants"


_MANAGE: Final = Row(
    OFFSPRING, rule="ancestry", hint="ask the agent that spawned it, or the operator"
)
_INSPECT: Final = Row(FAMILY)
_OWN: Final = Row(SELF, SELF, "owner", "it is its owner's alone")
_FREE: Final = Row(EVERYBODY)

TABLE: Final[Mapping[str, Row]] = {
    "KILL": _MANAGE,
    "PAUSE": _MANAGE,
    "RESUME": _MANAGE,
    "LOGS": _MANAGE,
    "WAIT": _MANAGE,
    "GET_PERMS": _INSPECT,
    "SET_PERMS": _INSPECT,
    "WHY": _INSPECT,
    "METRICS_AGENT": _INSPECT,
    "METRICS_ALL_AGENTS": _INSPECT,
    "METRICS_CGROUP": _INSPECT,
    "SPAWN": Row(SELF, SELF, "parent", "whoever asks is the parent"),
    "GET_AUDIT_LOG": Row(SELF, rule="operator", hint="ask without agent_id"),
    "SET_AUDIT_CONFIG": Row(NOBODY, rule="operator", hint="ask the operator"),
    "LIST": _FREE,
    "SEND": _FREE,
    "BROADCAST": _FREE,
    "RECV": _OWN,
    "ACK": _OWN,
    "ASYNC_POLL": _OWN,
    "POLL_EVENTS": _OWN,
    "shared keys": _FREE,
    "agent keys": _OWN,
    "events of agents": _FREE,
    "events of shared keys": _FREE,
    "events of agent keys": _OWN,
    "MESSAGE_RECEIVED": _OWN,
    "SYSCALL_BLOCKED": _INSPECT,
    "CUSTOM": _FREE,
}
"""By the syscall's name, else by what is shown. Of events the target is the one that they tell of."""


def relation(caller: Standing, target: Standing) -> Relation:
    """What the target is to the caller."""
    if target.agent_id == caller.agent_id:
        return Relation.SELF
    above = target.ancestors
    if caller.agent_id in above:
        return Relation.CHILD if above[0] == caller.agent_id else Relation.DESCENDANT
    if target.agent_id in caller.ancestors:
        return Relation.ANCESTOR
    if above and above[:1] == caller.ancestors[:1]:
        return Relation.SIBLING
    return Relation.STRANGER


def may(caller: Standing, call: str, target: Standing | None) -> bool:
    """May the caller do this to the target?

    @param call: a key of L{TABLE}; one that is not there is nobody's.
    @param target: None for somebody who is not known, or the kernel itself.
    """
    row = TABLE.get(call)
    if row is None:
        return False
    allowed = row.operators if caller.is_operator else row.agents
    found = Relation.STRANGER if target is None else relation(caller, target)
    return found in allowed


def require(caller: Standing, call: str, target: Standing | None, agent_id: int = 0) -> None:
    """Go on only if the caller L{may}.

    @param agent_id: the target's, where it is not known.
    @raise PermissionDenied: with the row's rule and hint.
    """
    if may(caller, call, target):
        return
    row = TABLE.get(call, _OWN)
    number = agent_id if target is None else target.agent_id
    what = f"{call} of agent {number}" if number else call
    raise PermissionDenied(what, rule=row.rule, hint=row.hint)


def is_free(call: str) -> bool:
    """May everybody do this to everybody? Then a call need not ask each time."""
    row = TABLE.get(call)
    return row is not None and row.agents == row.operators == EVERYBODY


def visible(caller: Standing, call: str, targets: Iterable[S]) -> list[S]:
    """Those of the targets that a call may show to the caller."""
    if is_free(call):
        return list(targets)
    return [target for target in targets if may(caller, call, target)]


def may_resume(mine: tuple[Kind, int], earlier: tuple[Kind, int]) -> bool:
    """May a connection with the right token have an earlier one's identity?

    @param mine: what the new one is, and the user id at its other end.
    @param earlier: the same of the earlier one.
    """
    return mine == earlier


def may_take_name(mine: int, holder: int, *, operator: bool) -> bool:
    """May somebody have the name of a connection that is gone and may come back for it?

    Whoever has it gets the messages that are sent to it.

    @param mine: the family of who is to have it.
    @param holder: the family of who bears it.
    @param operator: an operator chose it.
    """
    return operator or mine == holder


def check_spawn(caller: Spawner, *, sandboxed: bool, degraded: bool, network: bool) -> None:
    """May the caller start an agent of this kind? Nobody gives what it has not.

    @param degraded: with less isolation than was asked for.
    @raise PermissionDenied: rules `sandboxed`, `allow_degraded`, `network`.
    """
    outside = caller.is_operator or (caller.is_agent and not caller.sandboxed)
    if not sandboxed and not outside:
        raise PermissionDenied(
            "only the operator and unsandboxed agents may spawn unsandboxed agents",
            rule="sandboxed",
            hint="leave sandboxed at true",
        )
    if degraded and not outside:
        raise PermissionDenied(
            "only the operator and unsandboxed agents may accept less isolation",
            rule="allow_degraded",
            hint="leave allow_degraded out",
        )
    if network and not caller.network:
        raise PermissionDenied(
            "an agent without the network cannot give it to another",
            rule="network",
            hint="leave network out, or have the operator spawn this agent with network",
        )


class Spawner(Standing, Protocol):
    """What L{check_spawn} looks at."""

    @property
    def is_agent(self) -> bool:
        """This kernel has spawned it."""

    @property
    def sandboxed(self) -> bool:
        """It runs inside namespaces."""

    @property
    def network(self) -> bool:
        """It may connect to hosts itself."""
