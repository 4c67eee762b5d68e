"""Callers of other kernels: who they are here, and that they may do nothing that is not granted."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock

from clove.errors import InvalidRequest, LimitExceeded
from clove.framing import Opcode
from clove.kernel.audit import AuditLog
from clove.kernel.authority import TABLE, Relation, may, relation, visible
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import AgentSocket, LocalPeer, RemoteCaller
from clove.kernel.dispatch import Dispatcher
from clove.kernel.ids import LOCAL_IDS, REMOTE_CALLERS, REMOTE_IDS, remote_id
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.kernel.remote.granted import REMOTE_CALLS
from clove.kernel.table import TABLE as SYSCALLS
from clove.policy import FLAGS, Level, for_level
from clove.sharing.shares import OPERATORS
from tests.audit_entries import queried
from tests.unit.kernel.connection_peer import Peer


def remote(number: int = 7, peer: Peer | None = None, limits: Any = None) -> Peer:
    return Peer(limits, peer.principals if peer else None, RemoteCaller(number))


def test_ids_of_both_sides_never_meet() -> None:
    assert not range(max(LOCAL_IDS.start, REMOTE_IDS.start), min(LOCAL_IDS.stop, REMOTE_IDS.stop))
    assert LOCAL_IDS.start == 1  # 0 is nobody's
    assert REMOTE_IDS.stop == 1 << 32  # what a header has room for
    assert remote_id(0) == REMOTE_IDS[0]
    assert remote_id(len(REMOTE_IDS) - 1) == REMOTE_IDS[-1]
    for number in (-1, len(REMOTE_IDS), 1 << 32, 1 << 64):
        with pytest.raises(InvalidRequest):
            remote_id(number)


@pytest.mark.parametrize(
    ("kind", "agent_id"),
    [
        (Kind.AGENT, REMOTE_IDS[0]),
        (Kind.GUEST, REMOTE_IDS[5]),
        (Kind.OPERATOR, REMOTE_IDS[-1]),
        (Kind.AGENT, 0),
        (Kind.AGENT, 1 << 32),
        (Kind.REMOTE, LOCAL_IDS[0]),
        (Kind.REMOTE, LOCAL_IDS[-1]),
    ],
)
def test_no_principal_has_an_id_of_the_other_side(kind: Kind, agent_id: int) -> None:
    registry = Registry()
    with pytest.raises(LimitExceeded):
        registry.add(Principal(agent_id, kind, for_level(Level.MINIMAL)))
    assert not len(registry)


def test_the_same_caller_is_the_same_principal_on_each_connection() -> None:
    first = remote(7)
    second, other = remote(7, first), remote(8, first)
    mine = first.connection.principal
    assert second.connection.principal is mine
    assert other.connection.principal is not mine
    assert (mine.kind, mine.agent_id, mine.connections) == (Kind.REMOTE, remote_id(7), 2)
    first.lose()
    assert first.closed == []
    second.lose()
    assert first.closed == [remote_id(7)]
    other.lose()
    assert first.principals.connections == {}


@pytest.mark.parametrize(
    "order", [(Level.STANDARD, Level.READONLY), (Level.READONLY, Level.STANDARD)]
)
def test_a_token_that_was_narrowed_is_so_wherever_its_caller_is_connected_yet(
    order: tuple[Level, Level],
) -> None:
    first = Peer(None, None, RemoteCaller(7, permissions=for_level(order[0])))
    second = Peer(None, first.principals, RemoteCaller(7, permissions=for_level(order[1])))
    mine = second.connection.principal
    assert mine is first.connection.principal
    assert (mine.permissions.level, mine.permissions.can_exec) == (Level.READONLY, False)


def test_a_relays_id_that_is_too_large_is_refused() -> None:
    peer = remote(1 << 31)
    assert json.loads(peer.hears()[0][1])["code"] == "invalid_request"
    assert peer.channel.closing


def test_all_remote_callers_are_one_family_and_no_other_principal_is_in_it() -> None:
    one, two = remote(7), remote(8)
    assert one.connection.principal.family == two.connection.principal.family == REMOTE_CALLERS
    assert REMOTE_CALLERS != OPERATORS
    assert REMOTE_CALLERS not in LOCAL_IDS  # an agent's family is its own id,
    assert REMOTE_CALLERS not in REMOTE_IDS
    assert REMOTE_CALLERS > 0  # and a guest's its user id as a negative number
    given = Principal(remote_id(7), Kind.REMOTE, for_level(Level.MINIMAL), family=4)
    assert given.family == REMOTE_CALLERS
    assert given.path == (REMOTE_CALLERS, remote_id(7))


def test_remote_callers_together_have_a_familys_share_of_the_connections() -> None:
    limits = ConnectionLimits(max_connections=8, operator_connections=2)
    operator = Peer(limits)
    for number in range(4):
        assert remote(number, operator, limits).hears() == []
    refused = remote(99, operator, limits)
    assert "your family" in json.loads(refused.hears()[0][1])["error"]
    assert Peer(limits, operator.principals).hears() == []


def test_one_caller_has_no_more_connections_than_an_agent() -> None:
    limits = ConnectionLimits(max_connections_per_agent=2)
    first = remote(7, limits=limits)
    remote(7, first, limits)
    refused = remote(7, first, limits)
    assert json.loads(refused.hears()[0][1])["code"] == "limit_exceeded"
    assert remote(8, first, limits).hears() == []


def test_remote_callers_connect_no_more_often_than_a_family() -> None:
    limits = ConnectionLimits(connects=1, connects_at_once=2)
    first = remote(1, limits=limits)
    remote(2, first, limits)
    refused = remote(3, first, limits)
    assert "too often" in json.loads(refused.hears()[0][1])["error"]


def test_a_caller_has_no_token_and_resumes_no_connection() -> None:
    operator = Peer()
    token = operator.hello()["resume"]
    assert token
    operator.lose()
    caller = remote(7, operator)
    assert caller.hello()["resume"] == ""
    thief = remote(8, operator)
    assert thief.hello(resume=token)["code"] == "not_found"
    assert thief.connection.principal.kind is Kind.REMOTE
    operator.principals.stop()


def test_a_caller_without_permissions_has_none() -> None:
    caller = remote().connection.principal
    assert not any(getattr(caller.permissions, flag) for flag in FLAGS)
    assert caller.view is None
    assert not caller.network
    assert not caller.is_operator
    assert not caller.is_agent


def caller_of(owner: int, number: int) -> Principal:
    return Principal(
        remote_id(number), Kind.REMOTE, for_level(Level.STANDARD), ancestors=(remote_id(owner),)
    )


def test_callers_with_one_token_manage_each_others_agents_and_no_others() -> None:
    ann, again, bob = caller_of(0, 1), caller_of(0, 2), caller_of(3, 4)
    standard = ann.permissions
    child = Principal(20, Kind.AGENT, standard, ancestors=(ann.agent_id, *ann.ancestors))
    below = Principal(21, Kind.AGENT, standard, ancestors=(20, *child.ancestors))
    local = Principal(22, Kind.AGENT, standard, ancestors=(1,))
    assert relation(ann, child) is Relation.CHILD
    assert relation(again, child) is relation(again, below) is Relation.DESCENDANT
    assert relation(again, ann) is Relation.SIBLING
    assert relation(bob, child) is relation(bob, ann) is Relation.STRANGER
    for call in ("KILL", "LOGS", "OUTPUT", "INSPECT", "GET_PERMS", "SET_PERMS"):
        assert visible(again, call, [child, below, local]) == [child, below]
        assert visible(bob, call, [child, below, local, ann]) == []
    assert not may(again, "GET_PERMS", ann)
    assert not may(again, "RECV", ann)


def test_a_caller_has_no_part_in_what_is_the_hosts_or_the_operators() -> None:
    ann = caller_of(0, 1)
    child = Principal(20, Kind.AGENT, ann.permissions, ancestors=(ann.agent_id, *ann.ancestors))
    for call in ("WHY", "GET_AUDIT_LOG", "SET_AUDIT_CONFIG"):
        assert visible(ann, call, [ann, child]) == []
    local = Principal(22, Kind.AGENT, ann.permissions, ancestors=(1,))
    for call in ("RUN", "DIAL", "files of agents"):
        assert visible(ann, call, [ann, child, local]) == [child]
    for call in TABLE:
        if call.startswith("TUNNEL_"):
            assert not may(ann, call, None)
    names = {Opcode(opcode).name for opcode in SYSCALLS}
    assert names >= REMOTE_CALLS
    assert not REMOTE_CALLS & {"EXEC", "WATCH", "WHY"}
    assert not {name for name in REMOTE_CALLS if name.startswith("TUNNEL_")}


REFUSED = sorted(code for code in SYSCALLS if Opcode(code).name not in REMOTE_CALLS)


@pytest.mark.parametrize("opcode", REFUSED)
def test_what_is_not_granted_is_refused_even_with_every_permission(opcode: int) -> None:
    audit = AuditLog(Clock().seconds)
    kernel: Any = SimpleNamespace(
        audit=audit,
        events=SimpleNamespace(publish=lambda *event: None),
    )
    caller = Principal(remote_id(1), Kind.REMOTE, for_level(Level.UNRESTRICTED))
    for payload in (b"", b"{}", b"{not JSON"):
        reply = Dispatcher(kernel, SYSCALLS).answer(caller, opcode, payload)
        assert isinstance(reply, bytes)
        said = json.loads(reply)
        assert (said["code"], said["rule"]) == ("permission_denied", "remote")
    assert [entry.event_type for entry in queried(audit)] == ["PERMISSION_DENIED"] * 3


def test_what_concerns_the_connection_itself_is_served() -> None:
    caller = remote()
    caller.say(Opcode.NOOP, b"still there?")
    assert caller.hears() == [(Opcode.NOOP, b"still there?")]
    assert caller.hello()["agent_id"] == remote_id(7)
    caller.say(Opcode.EXIT, b"", tag=1)
    assert caller.hears()[0][1][8:] == b"goodbye"


def test_an_agent_and_a_stranger_come_by_the_same_door() -> None:
    peer = Peer()
    agent = Principal(20, Kind.AGENT, for_level(Level.STANDARD))
    own = Peer(None, peer.principals, AgentSocket(agent))
    assert own.connection.principal is agent
    assert own.hello()["resume"] == ""
    stranger = Peer(None, peer.principals, LocalPeer(1, 4242, 4242))
    assert json.loads(stranger.hears()[0][1])["rule"] == "peer-uid"
    unknown_peer: Any = object()
    unknown = Peer(None, peer.principals, unknown_peer)
    assert json.loads(unknown.hears()[0][1])["rule"] == "peer-credentials"
