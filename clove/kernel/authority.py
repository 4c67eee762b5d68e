"""Authority: what one principal may do to another. Pure.

Permissions (L{clove.policy}) say what a principal may do at all; this module says to which other
principals. Each call that names another principal, or shows what belongs to another, has a row:
what the target may be in relation to the caller. A call without a row is refused, and so is a
caller that the row does not name. `docs/authority.md` has the table for readers, and a test
compares the two.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from clove.errors import PermissionDenied
from clove.kernel.ids import REMOTE_IDS

if TYPE_CHECKING:
    from clove.kernel.principal import Kind

__all__ = [
    "ALL_RELATIONS",
    "TABLE",
    "Relation",
    "Row",
    "Standing",
    "check_spawn",
    "has_resume_token",
    "is_free",
    "may",
    "may_resume",
    "may_take_name",
    "relation",
    "require",
    "visible",
]


class Standing(Protocol):
    """What is looked at of a principal, whether it runs or has ended.

    @ivar ancestors: ids of its parent, its parent's parent, and so on; they stay the same when
        those have ended or been forgotten.
    """

    @property
    def agent_id(self) -> int:
        """Never reused."""

    @property
    def ancestors(self) -> tuple[int, ...]:
        """See the class."""


class Caller(Standing, Protocol):
    """What is looked at of a principal that asks."""

    @property
    def is_operator(self) -> bool:
        """The kernel's own user or root, on the main socket."""

    @property
    def is_remote(self) -> bool:
        """Is it a caller of another kernel, verified by a relay?"""


S = TypeVar("S", bound=Standing)


class Relation(enum.Enum):
    """What a target is to the caller."""

    SELF = "self"
    CHILD = "child"
    DESCENDANT = "descendant"  # a child's child, at any remove
    ANCESTOR = "ancestor"  # its parent too
    SIBLING = "sibling"  # of the same parent
    STRANGER = "stranger"  # all others, and principals that are not known


SELF: Final = frozenset([Relation.SELF])
OFFSPRING: Final = frozenset([Relation.CHILD, Relation.DESCENDANT])
FAMILY: Final = SELF | OFFSPRING
ALL_RELATIONS: Final = frozenset(Relation)
NO_RELATION: Final[frozenset[Relation]] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """The targets that a call may have.

    @ivar agents: for agents and guests.
    @ivar operators: for operators.
    @ivar remotes: for remote callers, which may besides make only the calls of
        L{clove.kernel.remote.granted}.
    @ivar rule: what a denial names.
    @ivar hint: and what it advises.
    """

    agents: frozenset[Relation]
    operators: frozenset[Relation] = ALL_RELATIONS
    rule: str = "descendants"
    hint: str = "an agent may ask about itself and its descendants"
    remotes: frozenset[Relation] = NO_RELATION


_MANAGE: Final = Row(
    OFFSPRING,
    rule="ancestry",
    hint="ask the agent that spawned it, or the operator",
    remotes=OFFSPRING,
)
_INSPECT: Final = Row(FAMILY, remotes=FAMILY)
_OWN: Final = Row(SELF, SELF, "owner", "it is its owner's alone", remotes=SELF)
_FREE: Final = Row(ALL_RELATIONS, remotes=ALL_RELATIONS)
_OPERATORS: Final = Row(NO_RELATION, rule="operator", hint="ask the operator")

_INSIDE: Final = Row(NO_RELATION, rule="operator", hint="use your own sandbox", remotes=OFFSPRING)

TABLE: Final[Mapping[str, Row]] = {
    **dict.fromkeys(("KILL", "PAUSE", "RESUME", "LOGS", "WAIT"), _MANAGE),
    **dict.fromkeys(("OUTPUT", "INPUT", "ATTACH", "CLOSE_STREAM", "RESIZE"), _MANAGE),
    **dict.fromkeys(("INSPECT", "RESTART", "SIGNAL", "RENAME", "PRUNE", "UPDATE"), _MANAGE),
    **dict.fromkeys(("RUN", "DIAL", "files of agents"), _INSIDE),
    "GET_PERMS": _INSPECT,
    "SET_PERMS": _INSPECT,
    "WHY": Row(FAMILY),
    "METRICS_AGENT": _INSPECT,
    "METRICS_ALL_AGENTS": _INSPECT,
    "METRICS_CGROUP": Row(FAMILY),
    "SPAWN": Row(SELF, SELF, "parent", "the caller is the parent", remotes=SELF),
    "GET_AUDIT_LOG": Row(SELF, rule="operator", hint="ask without agent_id"),
    "SET_AUDIT_CONFIG": _OPERATORS,
    **dict.fromkeys(("TUNNEL_CONNECT", "TUNNEL_DISCONNECT", "TUNNEL_STATUS"), _OPERATORS),
    **dict.fromkeys(("TUNNEL_LIST_REMOTES", "TUNNEL_CONFIG"), _OPERATORS),
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

_RESUMABLE: Final = ("OPERATOR", "GUEST")


def relation(caller: Standing, target: Standing) -> Relation:
    """What the target is to the caller."""
    if target.agent_id == caller.agent_id:
        return Relation.SELF
    above = target.ancestors
    if caller.agent_id in above:
        return Relation.CHILD if above[0] == caller.agent_id else Relation.DESCENDANT
    if target.agent_id not in REMOTE_IDS and _owner(caller) in above:
        return Relation.DESCENDANT  # spawned by another caller with the same token
    if target.agent_id in caller.ancestors:
        return Relation.ANCESTOR
    if above and above[:1] == caller.ancestors[:1]:
        return Relation.SIBLING
    return Relation.STRANGER


def _owner(caller: Standing) -> int:
    """The id that stands for a remote caller's token; 0 for all others."""
    if caller.agent_id in REMOTE_IDS and caller.ancestors:
        return caller.ancestors[0]
    return 0


def may(caller: Caller, call: str, target: Standing | None) -> bool:
    """May the caller do this to the target?

    @param call: a key of L{TABLE}; any other is refused.
    @param target: None for one that is not known, or for the kernel itself.
    """
    row = TABLE.get(call)
    if row is None:
        return False
    if caller.is_remote:
        allowed = row.remotes
    else:
        allowed = row.operators if caller.is_operator else row.agents
    found = Relation.STRANGER if target is None else relation(caller, target)
    return found in allowed


def require(caller: Caller, call: str, target: Standing | None, agent_id: int = 0) -> None:
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
    """May every principal do this to every other? Then a call need not ask each time."""
    row = TABLE.get(call)
    if row is None:
        return False
    return row.agents == row.operators == row.remotes == ALL_RELATIONS


def visible(caller: Caller, call: str, targets: Iterable[S]) -> list[S]:
    """Those of the targets that a call may show to the caller."""
    if is_free(call):
        return list(targets)
    return [target for target in targets if may(caller, call, target)]


def has_resume_token(kind: Kind) -> bool:
    """Is there a token for the identity of a connection that is lost?

    Agents need none (their sockets are their own), nor remote callers (the relay names them).
    """
    return kind.name in _RESUMABLE


def may_resume(mine: tuple[Kind, int], earlier: tuple[Kind, int]) -> bool:
    """May a connection with the right token have an earlier one's identity?

    @param mine: what the new one is, and the user id at its other end.
    @param earlier: the same of the earlier one.
    """
    return mine == earlier and has_resume_token(mine[0])


def may_take_name(mine: int, holder: int, *, operator: bool) -> bool:
    """May a principal take the name of a lost connection that may still be resumed?

    The holder of a name gets the messages that are sent to it.

    @param mine: the family of the principal that asks for the name.
    @param holder: the family of the principal that has it.
    @param operator: an operator chose the name.
    """
    return operator or mine == holder


def check_spawn(caller: Spawner, *, sandboxed: bool, degraded: bool, network: bool) -> None:
    """May the caller start an agent of this kind? A child gets no right that its parent lacks.

    @param degraded: with less isolation than was asked for.
    @raise PermissionDenied: rules `sandboxed`, `allow_degraded`, `network`.
    """
    outside = caller.is_operator or (caller.is_agent and not caller.sandboxed)  # never remote
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


class Spawner(Caller, Protocol):
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
