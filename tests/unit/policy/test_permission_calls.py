"""GET_PERMS, SET_PERMS and WHY: who may see and set what."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied
from clove.kernel.calls.permissions import get_perms, set_perms, why
from clove.kernel.context import Context
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.messages.permissions import GetPermsRequest, SetPermsRequest, WhyRequest
from clove.policy import Level, excesses, for_level, parse


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
        kernel: Any = SimpleNamespace(registry=self.registry, events=events, gateways=gateways)
        return Context(kernel, principal)

    def end(self, principal: Principal) -> None:
        """The agent ends; its children live on."""
        self.registry.remove(principal)

    def set(self, who: Principal, **fields: Any) -> None:
        set_perms(self.context(who), SetPermsRequest(**fields))


@pytest.fixture
def family() -> Family:
    return Family()


def test_own_permissions(family: Family) -> None:
    for agent_id in (None, 0, family.child.agent_id):
        reply = get_perms(family.context(family.child), GetPermsRequest(agent_id=agent_id))
        assert reply.agent_id == family.child.agent_id
        assert reply.permissions["level"] == "standard"


def test_an_empty_level_beside_permissions_names_none(family: Family) -> None:
    """Clients that send every field do so."""
    family.set(family.child, level="", permissions={"level": "readonly"})
    assert family.child.permissions.level == "readonly"
    with pytest.raises(InvalidRequest):
        family.set(family.child, level="")


def test_ancestors_and_the_operator_see_permissions_and_nobody_else(family: Family) -> None:
    request = GetPermsRequest(agent_id=family.grandchild.agent_id)
    for who in (family.operator, family.parent, family.child):
        assert get_perms(family.context(who), request).agent_id == family.grandchild.agent_id
    for who in (family.guest, family.stranger):
        with pytest.raises(PermissionDenied) as caught:
            get_perms(family.context(who), request)
        assert caught.value.rule == "descendants"
    with pytest.raises(PermissionDenied):
        get_perms(family.context(family.child), GetPermsRequest(agent_id=family.parent.agent_id))


def test_nobody_is_told_which_ids_are_alive(family: Family) -> None:
    with pytest.raises(PermissionDenied):
        get_perms(family.context(family.child), GetPermsRequest(agent_id=999))
    with pytest.raises(NotFound):
        get_perms(family.context(family.operator), GetPermsRequest(agent_id=999))


def test_an_agent_narrows_itself_and_cannot_go_back(family: Family) -> None:
    family.set(family.child, level="readonly")
    assert family.child.permissions.level is Level.READONLY
    assert not family.child.permissions.can_exec
    for fields in ({"level": "standard"}, {"permissions": {"can_exec": True}}):
        with pytest.raises(PermissionDenied) as caught:
            family.set(family.child, **fields)
        assert caught.value.rule.startswith("narrow-only: ")


@pytest.mark.parametrize(
    "fields",
    [
        {"level": "unrestricted"},
        {"permissions": "unrestricted"},
        {"permissions": {"level": "unrestricted"}},
        {"permissions": {"can_http": True}},
        {"permissions": {"can_spawn": True}},
        {"permissions": {"max_llm_calls": 0}},
        {"permissions": {"llm_quota": {"max_calls": 9}}},
        {"permissions": {"allowed_paths": ["/**"]}},
        {"permissions": {"allowed_read_paths": ["/elsewhere/**"]}},
        {"permissions": {"allowed_commands": ["sh"]}},
    ],
)
@pytest.mark.parametrize("who", ["child", "parent"])
def test_no_agent_raises_permissions(family: Family, fields: dict[str, Any], who: str) -> None:
    limited = parse(
        "standard",
        {"max_llm_calls": 3, "allowed_paths": ["/work/**"], "allowed_commands": ["ls"]},
    )
    family.child.permissions = limited
    with pytest.raises(PermissionDenied):
        family.set(getattr(family, who), agent_id=family.child.agent_id, **fields)
    assert family.child.permissions is limited


def test_a_guest_only_narrows(family: Family) -> None:
    with pytest.raises(PermissionDenied):
        family.set(family.guest, level="unrestricted")
    family.set(family.guest, level="minimal")
    assert family.guest.permissions.level is Level.MINIMAL


def test_a_level_is_cut_to_what_one_has(family: Family) -> None:
    family.child.permissions = parse("standard", {"allowed_paths": ["/work/**"]})
    family.set(family.child, level="readonly")
    assert family.child.permissions.allowed_read_paths == ("/work/**",)


def test_blocked_lists_only_grow(family: Family) -> None:
    family.set(family.child, permissions={"blocked_paths": ["/b"]})
    family.set(family.child, permissions={"blocked_paths": ["/c"]})
    assert {"/b", "/c", "~/.ssh"} <= set(family.child.permissions.blocked_paths)


def test_the_operator_sets_anything(family: Family) -> None:
    family.set(
        family.operator,
        agent_id=family.child.agent_id,
        permissions={"can_http": True, "allowed_domains": ["127.0.0.1:8080"]},
    )
    assert family.child.permissions.can_http
    assert family.child.permissions.allowed_domains == ("127.0.0.1:8080",)


def test_descendants_are_narrowed_with_their_ancestor(family: Family) -> None:
    family.set(family.operator, agent_id=family.parent.agent_id, level="minimal")
    for principal in (family.parent, family.child, family.grandchild):
        assert not principal.permissions.can_exec
    assert family.stranger.permissions.can_exec


def test_no_list_of_its_own_keeps_a_descendant_from_being_narrowed(family: Family) -> None:
    full = {
        "blocked_paths": tuple(f"/{n}" for n in range(200)),
        "blocked_commands": tuple(f"c{n}" for n in range(256)),
    }
    family.child.permissions = msgspec.structs.replace(parse("standard"), **full)
    more = {"blocked_paths": [f"/x{n}" for n in range(60)], "blocked_commands": ["dd"]}
    family.set(family.operator, agent_id=family.parent.agent_id, permissions=more)
    child = family.child.permissions
    assert not any((child.can_read, child.can_write, child.can_exec))
    assert not excesses(family.parent.permissions, child)
    assert child.can_think


def test_one_that_may_not_subscribe_any_more_is_told_nothing_more(family: Family) -> None:
    family.set(family.operator, agent_id=family.child.agent_id, level="readonly")
    assert family.unsubscribed == []
    family.set(family.operator, agent_id=family.child.agent_id, level="minimal")
    assert family.unsubscribed == [family.child.agent_id, family.grandchild.agent_id]


def test_a_grandchild_stays_one_when_its_parent_ends(family: Family) -> None:
    family.end(family.child)
    request = GetPermsRequest(agent_id=family.grandchild.agent_id)
    assert get_perms(family.context(family.parent), request).success
    family.set(family.operator, agent_id=family.parent.agent_id, level="minimal")
    assert not family.grandchild.permissions.can_exec


def test_raising_a_parent_leaves_its_children_alone(family: Family) -> None:
    before = family.child.permissions
    family.set(family.operator, agent_id=family.parent.agent_id, level="unrestricted")
    assert family.child.permissions is before


def test_a_bad_request_changes_nothing(family: Family) -> None:
    before = family.child.permissions
    for fields in ({}, {"level": "x"}, {"permissions": {"can_fly": True}}):
        with pytest.raises(InvalidRequest):
            family.set(family.child, **fields)
    assert family.child.permissions is before


@pytest.mark.parametrize(
    ("syscall", "arguments", "allowed", "rule"),
    [
        ("READ", {"path": "/etc/shadow"}, False, "blocked_paths: /etc/shadow*"),
        (0x03, {"path": "notes"}, True, "level: standard"),
        ("sys_write", {"path": "/work/../root/.ssh/x"}, False, "blocked_paths: ~/.ssh"),
        ("EXEC", {"command": "ls"}, True, "level: standard"),
        ("EXEC", {"command": ["ls"]}, True, "level: standard"),
        ("HTTP", {"url": "http://a.com"}, False, "level: standard"),
        ("SPAWN", {"name": "x"}, False, "level: standard"),
        ("THINK", {}, True, "can_think"),
        ("SEND", {"to": 1}, True, "can_message"),
        ("KILL", {"id": 1}, True, "no rule"),
    ],
)
async def test_why(
    family: Family, syscall: str | int, arguments: dict[str, Any], allowed: bool, rule: str
) -> None:
    request = WhyRequest(syscall=syscall, arguments=arguments, attempt=False)
    reply = await why(family.context(family.child), request)
    assert reply.success
    assert (reply.allowed, reply.rule) == (allowed, rule)
    assert ("words alone" in reply.note) is allowed
    assert (reply.attempt, reply.agrees) == ({}, None)


async def test_why_about_others_is_for_ancestors_and_the_operator(family: Family) -> None:
    fields: dict[str, Any] = {"syscall": "THINK", "attempt": False}
    request = WhyRequest(agent_id=family.grandchild.agent_id, **fields)
    for who in (family.operator, family.parent, family.grandchild):
        reply = await why(family.context(who), request)
        assert reply.agent_id == family.grandchild.agent_id
    for who in (family.guest, family.stranger):
        with pytest.raises(PermissionDenied):
            await why(family.context(who), request)


async def test_why_about_private_addresses_and_children(family: Family) -> None:
    ctx = family.context(family.operator)
    private: dict[str, dict[str, Any]] = {
        "HTTP": {"url": "http://127.0.0.1/"},
        "CONNECT": {"host": "127.0.0.1", "port": 80},
    }
    for syscall, arguments in private.items():
        request = WhyRequest(syscall=syscall, arguments=arguments, attempt=False)
        reply = await why(ctx, request)
        assert not reply.allowed
        assert reply.rule == "address: loopback"
    family.child.permissions = parse("standard", {"can_spawn": True})
    arguments = {"permissions": "unrestricted"}
    request = WhyRequest(syscall="SPAWN", arguments=arguments, attempt=False)
    reply = await why(family.context(family.child), request)
    assert reply.allowed
    assert "can_http" in reply.hint


@pytest.mark.parametrize(
    "request_fields",
    [
        {"syscall": "FLY"},
        {"syscall": 0x99},
        {"syscall": "READ"},
        {"syscall": "READ", "arguments": {"path": 1}},
        {"syscall": "SPAWN", "arguments": {"permissions": 1}},
        {"syscall": "CONNECT", "arguments": {"host": "example.com"}},
        {"syscall": "CONNECT", "arguments": {"host": "example.com", "port": True}},
        {"syscall": "CONNECT", "arguments": {"host": "example.com", "port": 1 << 16}},
    ],
)
async def test_why_about_nonsense_is_an_error(
    family: Family, request_fields: dict[str, Any]
) -> None:
    with pytest.raises(CloveError):
        await why(family.context(family.operator), WhyRequest(**request_fields))


def test_connections_of_all_who_are_narrowed_are_judged_again(family: Family) -> None:
    for agent in (family.parent, family.child, family.grandchild):
        agent.permissions = parse(None, {"can_http": True})
    family.set(family.parent, permissions={"max_exec_time_ms": 5})
    assert family.judged_again == []
    family.set(family.parent, permissions={"allowed_domains": ["api.test"]})
    expected = [one.agent_id for one in (family.parent, family.child, family.grandchild)]
    assert sorted(family.judged_again) == sorted(expected)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"sandboxed": False}, "sandboxed"),
        ({"allow_degraded": True}, "allow_degraded"),
        ({"network": True}, "network"),
        ({}, None),
    ],
)
async def test_why_says_what_kinds_of_agents_one_in_a_sandbox_may_not_spawn(
    family: Family, arguments: dict[str, Any], rule: str | None
) -> None:
    child = family.child
    child.permissions = parse(None, {"can_spawn": True})
    child.sandboxed, child.network = True, False
    request = WhyRequest(syscall="SPAWN", arguments=arguments, attempt=False)
    reply = await why(family.context(child), request)
    assert (reply.allowed, rule or reply.rule) == (rule is None, reply.rule)


@pytest.mark.parametrize(
    ("syscall", "arguments"),
    [("READ", {"path": "/etc/hosts"}), ("WRITE", {"path": "/tmp/x"}), ("EXEC", {"command": "ls"})],
)
async def test_why_says_that_another_user_has_no_files_and_commands(
    family: Family, syscall: str, arguments: dict[str, Any]
) -> None:
    request = WhyRequest(syscall=syscall, arguments=arguments, attempt=False)
    reply = await why(family.context(family.guest), request)
    assert (reply.allowed, reply.rule) == (False, "peer-uid")
