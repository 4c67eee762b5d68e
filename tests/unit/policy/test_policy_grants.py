"""Levels, permissions from requests, and what can be handed on."""
# ruff: noqa: RUF005

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied
from clove.policy import (
    FLAGS,
    Decision,
    Level,
    Permissions,
    check_address,
    check_command,
    check_flag,
    check_read,
    check_url,
    exceeds,
    excesses,
    for_level,
    narrow,
    parse,
)

WORK = ("can_exec", "can_read", "can_write", "can_think")
SHARING = ("can_message", "can_store", "can_emit")


@pytest.mark.parametrize(
    ("level", "may"),
    [
        ("unrestricted", FLAGS),
        ("standard", (*WORK, *SHARING)),
        ("sandboxed", (*WORK, *SHARING)),
        ("readonly", ("can_read", "can_think")),
        ("minimal", ("can_think",)),
    ],
)
def test_levels(level: str, may: tuple[str, ...]) -> None:
    permissions = for_level(level)
    for flag in FLAGS:
        decision = check_flag(permissions, flag)
        assert decision.allowed is (flag in may)
        if flag not in may:
            assert decision.rule == f"level: {level}"


def test_a_switch_turned_off_by_hand_is_named_itself() -> None:
    permissions = parse("standard", {"can_exec": False})
    assert check_flag(permissions, "can_exec").rule == "can_exec"


def test_a_denial_can_be_required() -> None:
    Decision(True, "x").require("READ")
    with pytest.raises(PermissionDenied) as caught:
        Decision(False, "blocked_paths: /x", "try /y").require("READ of /x")
    assert caught.value.rule == "blocked_paths: /x"
    assert caught.value.hint == "try /y"
    assert caught.value.message.startswith("Permission denied")


def test_every_level_survives_the_wire() -> None:
    for level in Level:
        permissions = for_level(level)
        wire = json.loads(json.dumps(permissions.to_wire()))
        assert wire["level"] == level.value
        assert wire["llm_quota"] == {"max_tokens": 0, "max_calls": 0}
        assert parse(None, wire) == permissions


def test_allowed_paths_and_quota_stand_for_both() -> None:
    permissions = parse(None, {"allowed_paths": ["/a"], "llm_quota": {"max_calls": 3}})
    assert permissions.allowed_read_paths == permissions.allowed_write_paths == ("/a",)
    assert permissions.max_llm_calls == 3
    assert permissions.level is Level.STANDARD
    assert permissions.to_wire()["allowed_paths"] == ["/a"]


def test_fields_replace_those_of_the_base_but_never_unblock_the_level() -> None:
    base = parse("standard", {"allowed_paths": ["/a"], "can_http": True})
    changed = parse(None, {"blocked_paths": ["/b"]}, base)
    assert changed.can_http
    assert changed.allowed_read_paths == ("/a",)
    assert set(changed.blocked_paths) == {"/b", *for_level("standard").blocked_paths}
    assert parse("sandboxed", {"allowed_paths": []}).allowed_read_paths == (
        for_level("sandboxed").allowed_read_paths
    )


@pytest.mark.parametrize(
    "mapping",
    [
        {"can_fly": True},
        {"can_exec": 1},
        {"can_exec": "yes"},
        {"allowed_paths": "/a"},
        {"allowed_paths": [1]},
        {"allowed_paths": ["relative"]},
        {"max_llm_tokens": -1},
        {"max_llm_tokens": 1.5},
        {"llm_quota": {"max_fun": 1}},
        {"level": "god"},
        {"llm_quota": {"max_token": 1}},
        {"allowed_domains": ["http://x"]},
        {"allowed_http_methods": ["CONNECT"]},
        {"blocked_commands": ["a; b"]},
    ],
)
def test_bad_requests_are_errors(mapping: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse(None, mapping)


def test_null_counts_as_absent_and_what_is_misspelt_has_a_near_name() -> None:
    fields = {"level": None, "allowed_paths": None, "llm_quota": {"max_calls": None}}
    assert parse(None, fields) == parse(None, {})
    with pytest.raises(InvalidRequest, match="can_spwan") as caught:
        parse(None, {"can_spwan": True})
    assert "can_spawn" in caught.value.hint


def test_lists_are_bounded() -> None:
    with pytest.raises(LimitExceeded):
        parse(None, {"allowed_paths": [f"/{n}" for n in range(200)]})
    with pytest.raises(LimitExceeded):
        parse(None, {"allowed_paths": ["/" + "x" * 1000 + str(n) for n in range(20)]})
    with pytest.raises(InvalidRequest):
        parse("emperor")


def test_a_child_gets_what_both_have() -> None:
    parent = parse("standard", {"allowed_paths": ["/work/**"], "max_llm_calls": 5})
    child = narrow(parent, parse("unrestricted", {"allowed_paths": ["/work/a/*", "/etc/**"]}))
    assert child.level is Level.STANDARD
    assert not child.can_spawn
    assert child.allowed_read_paths == ("/work/a/*",)
    assert child.max_llm_calls == 5
    assert set(parent.blocked_paths) <= set(child.blocked_paths)


def test_a_wider_request_is_cut_to_the_parents_patterns() -> None:
    parent = parse("standard", {"allowed_paths": ["/work/**"]})
    assert narrow(parent, for_level("readonly")).allowed_read_paths == ("/work/**",)
    assert narrow(parent, parse(None, {"allowed_paths": ["/**"]})).allowed_read_paths == (
        "/work/**",
    )


def test_nothing_in_common_is_nothing_and_not_everything() -> None:
    parent = parse("unrestricted", {"allowed_paths": ["/a/**"], "allowed_domains": ["a.com"]})
    child = narrow(
        parent, parse("unrestricted", {"allowed_paths": ["/b/**"], "allowed_domains": ["b.com"]})
    )
    assert not child.can_read
    assert not child.can_write
    assert not child.can_http
    assert not check_read(child, "/b/x").allowed


@pytest.mark.parametrize(
    ("mine", "theirs", "kept"),
    [
        (["*.a.com"], ["x.a.com", "*.y.a.com", "a.com"], ["x.a.com", "*.y.a.com"]),
        (["a.com"], ["a.com:443", "a.com:22"], ["a.com:443"]),
        (["10.0.0.0/8"], ["10.1.0.0/16", "11.0.0.0/8"], ["10.1.0.0/16"]),
        (["169.254.0.0/16"], ["169.254.169.254", "169.254.1.1"], ["169.254.1.1"]),
        (["0.0.0.0/0", "*"], ["10.0.0.1", "8.8.8.8", "localhost", "b.com"], ["8.8.8.8", "b.com"]),
        ([], ["127.0.0.1:81", "localhost", "8.8.8.8", "c.com:99"], ["8.8.8.8", "c.com:99"]),
    ],
)
def test_domains_of_a_child(mine: list[str], theirs: list[str], kept: list[str]) -> None:
    parent = parse("unrestricted", {"allowed_domains": mine})
    child = narrow(parent, parse("unrestricted", {"allowed_domains": theirs}))
    assert list(child.allowed_domains) == kept


def test_commands_of_a_child() -> None:
    parent = parse("standard", {"allowed_commands": ["git", "ls"]})
    asked = parse("standard", {"allowed_commands": ["git status", "/tmp/ls", "cat"]})
    assert narrow(parent, asked).allowed_commands == ("git status", "ls")


def test_exceeds_names_the_field() -> None:
    parent = parse("standard", {"max_llm_tokens": 10, "allowed_commands": ["ls"]})
    assert exceeds(parent, parent) is None
    assert exceeds(parent, parse(None, {"can_http": True}, parent)) == "can_http"
    assert exceeds(parent, parse(None, {"max_llm_tokens": 0}, parent)) == "max_llm_tokens"
    assert exceeds(parent, parse(None, {"allowed_commands": []}, parent)) == "allowed_commands"
    assert "level" in excesses(parent, for_level("unrestricted"))


PATTERNS = st.lists(
    st.sampled_from(["/a", "/a/*", "/a/**", "/a/b", "/**", "/a/*/c", "/b/x*", "/b/**/y", "~/z"]),
    max_size=3,
)
DOMAINS = st.lists(
    st.sampled_from(
        ["a.com", "*.a.com", "x.a.com", "a.com:8080", "*", "10.0.0.0/8", "10.0.0.1", "localhost"]
        + ["127.0.0.1:8080", "169.254.169.254", "0.0.0.0/0", "[::1]:80"]
    ),
    max_size=3,
)
COMMANDS = st.lists(
    st.sampled_from(["ls", "rm", "rm -rf", "git", "git status", "/tmp/ls"]), max_size=2
)
GRANTS = st.builds(
    lambda level, fields: parse(level, fields),
    st.sampled_from(list(Level)),
    st.fixed_dictionaries(
        {},
        optional={
            **{flag: st.booleans() for flag in FLAGS},
            "allowed_read_paths": PATTERNS,
            "allowed_write_paths": PATTERNS,
            "blocked_paths": PATTERNS,
            "allowed_commands": COMMANDS,
            "blocked_commands": COMMANDS,
            "allowed_domains": DOMAINS,
            "allowed_http_methods": st.lists(st.sampled_from(["GET", "POST"]), max_size=2),
            "max_llm_calls": st.integers(0, 3),
            "max_exec_time_ms": st.integers(0, 3),
        },
    ),
)
PATHS = ["/a", "/a/b", "/a/b/c", "/a/x/c", "/b", "/b/xy", "/b/y", "/b/q/y", "/c", "/root/z"]
LINES = ["ls", "rm x", "rm -rf x", "git status", "git push", "/tmp/ls", "cat"]
URLS = ["http://a.com/", "http://x.a.com/", "http://a.com:8080/", "http://10.0.0.1/"]
URLS += ["http://localhost/", "http://127.0.0.1:8080/", "http://169.254.169.254/", "http://[::1]/"]
ADDRESSES = ["8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::1"]


def abilities(permissions: Permissions) -> set[Any]:
    """Everything of a sample of acts that these permissions allow."""
    found: set[Any] = {flag for flag in FLAGS if check_flag(permissions, flag).allowed}
    found |= {("read", path) for path in PATHS if check_read(permissions, path).allowed}
    found |= {("run", line) for line in LINES if check_command(permissions, line).allowed}
    for method in ("GET", "POST"):
        for url in URLS:
            decision, target = check_url(permissions, method, url)
            literal = target.address
            for address in [str(literal)] if literal else ADDRESSES:
                if (
                    decision.allowed
                    and check_address(permissions, target.host, target.port, address).allowed
                ):
                    found.add((method, url, address))
    return found


@given(GRANTS, GRANTS)
def test_a_narrowed_grant_never_exceeds_its_parent(parent: Permissions, asked: Permissions) -> None:
    child = narrow(parent, asked)
    assert exceeds(parent, child) is None
    assert abilities(child) <= abilities(parent)
    assert abilities(child) <= abilities(asked) or not asked.allowed_domains
    for quota in ("max_llm_calls", "max_exec_time_ms"):
        most = getattr(parent, quota)
        assert not most or 0 < getattr(child, quota) <= most


@given(GRANTS, GRANTS)
def test_what_does_not_exceed_can_do_no_more(parent: Permissions, other: Permissions) -> None:
    if exceeds(parent, other) is None:
        assert abilities(other) <= abilities(parent)


@given(GRANTS)
def test_grants_survive_the_wire(permissions: Permissions) -> None:
    assert parse(None, json.loads(json.dumps(permissions.to_wire()))) == permissions
    assert exceeds(permissions, permissions) is None
    assert msgspec.structs.replace(permissions) == permissions
