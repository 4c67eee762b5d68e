"""Who may do what to whom: every relation against every call, and the calls themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import succeed

from clove.errors import PermissionDenied
from clove.kernel.authority import (
    EVERYBODY,
    TABLE,
    Relation,
    check_spawn,
    is_free,
    may,
    may_resume,
    relation,
    require,
    visible,
)
from clove.kernel.calls import agents, audit, metrics, permissions
from clove.kernel.context import Context
from clove.kernel.principal import Kind, Principal
from clove.messages.agents import LogsRequest, TargetRequest, WaitRequest
from clove.messages.audit import GetAuditLogRequest, SetAuditConfigRequest
from clove.messages.metrics import MetricsAgentRequest
from clove.messages.permissions import GetPermsRequest, SetPermsRequest, WhyRequest
from clove.policy import Level, for_level

DOCS = Path(__file__).parents[3] / "docs"


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
    "GET_PERMS": (FAMILY, ALL),
    "SET_PERMS": (FAMILY, ALL),
    "WHY": (FAMILY, ALL),
    "METRICS_AGENT": (FAMILY, ALL),
    "METRICS_ALL_AGENTS": (FAMILY, ALL),
    "METRICS_CGROUP": (FAMILY, ALL),
    "SPAWN": ({"self"}, {"self"}),
    "GET_AUDIT_LOG": ({"self"}, ALL),
    "SET_AUDIT_CONFIG": (set(), ALL),
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


def test_every_call_is_in_the_table() -> None:
    assert set(TABLE) == set(EXPECTED)


@pytest.mark.parametrize("call", EXPECTED)
def test_every_relation(call: str) -> None:
    for kind, expected in zip((Kind.AGENT, Kind.OPERATOR), EXPECTED[call], strict=True):
        caller = principal(11, 10, 1, kind=kind)
        targets = {**TARGETS, "self": caller}
        assert {name for name, target in targets.items() if may(caller, call, target)} == expected


def test_a_guest_is_no_more_than_an_agent() -> None:
    for call, row in TABLE.items():
        theirs = {one.agent_id for one in (GUEST, GUESTS, ME, OPERATOR) if may(GUEST, call, one)}
        if row.agents == EVERYBODY:
            assert theirs == {2, 21, 11, 1}
        else:
            assert theirs <= {2, 21}, call


def test_what_is_not_listed_is_refused_to_everybody() -> None:
    for caller in (ME, GUEST, OPERATOR):
        assert not may(caller, "REBOOT", caller)
        with pytest.raises(PermissionDenied):
            require(caller, "REBOOT", caller)
    assert not is_free("REBOOT")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (ME, Relation.SELF),
        (CHILD, Relation.CHILD),
        (GRANDCHILD, Relation.DESCENDANT),
        (BELOW_FORGOTTEN, Relation.DESCENDANT),
        (PARENT, Relation.ANCESTOR),
        (OPERATOR, Relation.ANCESTOR),
        (SIBLING, Relation.SIBLING),
        (STRANGER, Relation.STRANGER),
        (GUEST, Relation.STRANGER),
    ],
)
def test_relations(target: Principal, found: Relation) -> None:
    assert relation(ME, target) is found


def test_two_from_outside_are_no_siblings() -> None:
    assert relation(GUEST, OPERATOR) is Relation.STRANGER


def test_what_is_visible() -> None:
    assert visible(ME, "METRICS_AGENT", [PARENT, ME, CHILD, STRANGER]) == [ME, CHILD]
    assert visible(ME, "LIST", [PARENT, STRANGER]) == [PARENT, STRANGER]


def test_only_the_same_kind_and_user_resumes() -> None:
    assert may_resume((Kind.GUEST, 1000), (Kind.GUEST, 1000))
    assert not may_resume((Kind.GUEST, 1000), (Kind.GUEST, 1001))
    assert not may_resume((Kind.GUEST, 0), (Kind.OPERATOR, 0))


@pytest.mark.parametrize(
    ("kind", "sandboxed", "network", "refused"),
    [
        (Kind.OPERATOR, False, True, set()),
        (Kind.AGENT, False, True, set()),
        (Kind.AGENT, True, True, {"sandboxed", "allow_degraded"}),
        (Kind.AGENT, True, False, {"sandboxed", "allow_degraded", "network"}),
        (Kind.GUEST, False, True, {"sandboxed", "allow_degraded"}),
    ],
)
def test_nobody_spawns_more_than_it_is(
    kind: Kind, sandboxed: bool, network: bool, refused: set[str]
) -> None:
    caller = Principal(5, kind, for_level(Level.STANDARD), sandboxed=sandboxed, network=network)
    found = set()
    for named in ("sandboxed", "allow_degraded", "network"):
        try:
            check_spawn(
                caller,
                sandboxed=named != "sandboxed",
                degraded=named == "allow_degraded",
                network=named == "network",
            )
        except PermissionDenied as error:
            found.add(error.rule)
    assert found == refused


# the calls themselves


class Agent:
    """Takes whatever it is told."""

    name, restarts = "x", 0

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.agent_id = principal.agent_id
        self.lifecycle = SimpleNamespace(
            over=True, status=SimpleNamespace(code=0, signal=None), reason="exited"
        )
        self.logbook = SimpleNamespace(since=lambda *_: ([], 0), next_offset=0)

    def wait(self) -> Any:
        return succeed(None)

    def stop(self) -> None: ...

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...


async def _metrics(*_: object) -> dict[str, Any]:
    return {}


KNOWN = {one.agent_id: one for one in TARGETS.values() if one is not None}
KERNEL: Any = SimpleNamespace(
    registry=SimpleNamespace(get=KNOWN.get, find=lambda agent_id: KNOWN[agent_id]),
    agents=SimpleNamespace(find=lambda agent_id, **_: Agent(KNOWN[agent_id])),
    audit=SimpleNamespace(query=lambda *_: [], configure=lambda *_: {}),
    metrics=SimpleNamespace(agent=_metrics),
)
CALLS: dict[str, Callable[[Context, int], Any]] = {
    "KILL": lambda ctx, id: agents.kill(ctx, TargetRequest(id=id)),
    "PAUSE": lambda ctx, id: agents.pause(ctx, TargetRequest(id=id)),
    "RESUME": lambda ctx, id: agents.resume(ctx, TargetRequest(id=id)),
    "LOGS": lambda ctx, id: agents.logs(ctx, LogsRequest(id=id)),
    "WAIT": lambda ctx, id: agents.wait(ctx, WaitRequest(id=id)),
    "GET_PERMS": lambda ctx, id: permissions.get_perms(ctx, GetPermsRequest(agent_id=id)),
    "WHY": lambda ctx, id: permissions.why(
        ctx, WhyRequest(syscall="THINK", agent_id=id, attempt=False)
    ),
    "METRICS_AGENT": lambda ctx, id: metrics.metrics_agent(ctx, MetricsAgentRequest(agent_id=id)),
    "GET_AUDIT_LOG": lambda ctx, id: audit.get_audit_log(ctx, GetAuditLogRequest(agent_id=id)),
    "SET_AUDIT_CONFIG": lambda ctx, id: audit.set_audit_config(ctx, SetAuditConfigRequest()),
}


async def _answer(call: str, context: Context, agent_id: int) -> None:
    answer = CALLS[call](context, agent_id)
    if inspect.isawaitable(answer):
        await answer


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.OPERATOR])
async def test_calls_do_as_the_table_says(call: str, kind: Kind) -> None:
    caller = principal(11, 10, 1, kind=kind)
    context = Context(KERNEL, caller)
    for name, target in TARGETS.items():
        if target is None:
            continue
        try:
            await _answer(call, context, target.agent_id)
            served = True
        except PermissionDenied:
            served = False
        expected = EXPECTED[call][kind is Kind.OPERATOR]
        assert served is (name in expected or (call == "SET_AUDIT_CONFIG" and bool(expected))), name


@pytest.mark.parametrize("call", ["GET_PERMS", "WHY", "METRICS_AGENT", "GET_AUDIT_LOG"])
async def test_who_is_not_known_is_refused_like_a_stranger(call: str) -> None:
    context = Context(KERNEL, ME)
    with pytest.raises(PermissionDenied):
        await _answer(call, context, 12345)


async def test_an_ancestor_is_narrowed_by_nobody_below_it() -> None:
    for target in (PARENT, OPERATOR, SIBLING, STRANGER):
        with pytest.raises(PermissionDenied):
            permissions.set_perms(
                Context(KERNEL, ME), SetPermsRequest(agent_id=target.agent_id, level="minimal")
            )


def test_the_page_has_the_table() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", (DOCS / "authority.md").read_text(), re.M
    )
    words = {
        frozenset(EVERYBODY): "everybody",
        frozenset(): "nobody",
    }

    def said(whom: frozenset[Relation]) -> str:
        return words.get(whom) or ", ".join(one.value for one in Relation if one in whom)

    assert {name: (mine.strip(), theirs.strip()) for name, mine, theirs in rows} == {
        name: (said(row.agents), said(row.operators)) for name, row in TABLE.items()
    }
