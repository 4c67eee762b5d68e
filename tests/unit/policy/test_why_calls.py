"""WHY: what it says of each syscall, and to whom."""

from typing import Any

import pytest

from clove.errors import CloveError, PermissionDenied
from clove.kernel.calls.permissions import why
from clove.messages.permissions import WhyRequest
from clove.policy import parse
from tests.unit.policy.family import Family


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
