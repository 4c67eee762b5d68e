"""An agent, all that it can be related to, and what it may do to each."""

from __future__ import annotations

from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level


def principal(agent_id: int, *ancestors: int, kind: Kind = Kind.AGENT) -> Principal:
    return Principal(agent_id, kind, for_level(Level.STANDARD), ancestors=ancestors)


OPERATOR = principal(1, kind=Kind.OPERATOR)
GUEST = principal(2, kind=Kind.GUEST)
PARENT = principal(10, 1)
ME = principal(11, 10, 1)
SIBLING = principal(12, 10, 1)
CHILD = principal(13, 11, 10, 1)
GRANDCHILD = principal(14, 13, 11, 10, 1)
BELOW_FORGOTTEN = principal(99, 50, 40, 30, 11, 10, 1)  # nothing is known of 30 to 50 any more
STRANGER = principal(20, 1)
GUESTS = principal(21, 2)

TARGETS: dict[str, Principal | None] = {
    "self": ME,
    "child": CHILD,
    "descendant": GRANDCHILD,
    "below forgotten": BELOW_FORGOTTEN,
    "parent": PARENT,
    "operator": OPERATOR,
    "sibling": SIBLING,
    "stranger": STRANGER,
    "guest": GUEST,
    "a guest's": GUESTS,
    "forgotten": None,
}
OFFSPRING = {"child", "descendant", "below forgotten"}
FAMILY = {"self", *OFFSPRING}
ALL = set(TARGETS)

# call: (whom an agent may, whom the operator ME would be may)
EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "KILL": (OFFSPRING, ALL),
    "PAUSE": (OFFSPRING, ALL),
    "RESUME": (OFFSPRING, ALL),
    "LOGS": (OFFSPRING, ALL),
    "WAIT": (OFFSPRING, ALL),
    "OUTPUT": (OFFSPRING, ALL),
    "INPUT": (OFFSPRING, ALL),
    "ATTACH": (OFFSPRING, ALL),
    "CLOSE_STREAM": (OFFSPRING, ALL),
    "INSPECT": (OFFSPRING, ALL),
    "RESTART": (OFFSPRING, ALL),
    "SIGNAL": (OFFSPRING, ALL),
    "RENAME": (OFFSPRING, ALL),
    "PRUNE": (OFFSPRING, ALL),
    "UPDATE": (OFFSPRING, ALL),
    "RESIZE": (OFFSPRING, ALL),
    "RUN": (set(), ALL),
    "DIAL": (set(), ALL),
    "GET_PERMS": (FAMILY, ALL),
    "SET_PERMS": (FAMILY, ALL),
    "WHY": (FAMILY, ALL),
    "METRICS_AGENT": (FAMILY, ALL),
    "METRICS_ALL_AGENTS": (FAMILY, ALL),
    "METRICS_CGROUP": (FAMILY, ALL),
    "SPAWN": ({"self"}, {"self"}),
    "GET_AUDIT_LOG": ({"self"}, ALL),
    "SET_AUDIT_CONFIG": (set(), ALL),
    "TUNNEL_CONNECT": (set(), ALL),
    "TUNNEL_DISCONNECT": (set(), ALL),
    "TUNNEL_STATUS": (set(), ALL),
    "TUNNEL_LIST_REMOTES": (set(), ALL),
    "TUNNEL_CONFIG": (set(), ALL),
    "files of agents": (set(), ALL),
    "LIST": (ALL, ALL),
    "SEND": (ALL, ALL),
    "BROADCAST": (ALL, ALL),
    "RECV": ({"self"}, {"self"}),
    "ACK": ({"self"}, {"self"}),
    "ASYNC_POLL": ({"self"}, {"self"}),
    "POLL_EVENTS": ({"self"}, {"self"}),
    "shared keys": (ALL, ALL),
    "agent keys": ({"self"}, {"self"}),
    "events of agents": (ALL, ALL),
    "events of shared keys": (ALL, ALL),
    "events of agent keys": ({"self"}, {"self"}),
    "MESSAGE_RECEIVED": ({"self"}, {"self"}),
    "SYSCALL_BLOCKED": (FAMILY, ALL),
    "CUSTOM": (ALL, ALL),
}
