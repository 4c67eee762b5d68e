"""Version 1: a default that is sent is not a wish, and what is not understood is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.conftest import Kernel
from tests.conformance.contract import SYSCALLS
from tests.conformance.contract_lines import Syscall
from tests.conformance.defaults import CASES, DEFAULTS
from tests.conformance.judging import BY_NAME, check
from tests.conformance.peer import Peer

SPAWN, KILL, LIST, WAIT = 0x10, 0x11, 0x12, 0x17
CHANGE_THE_AGENT = ("KILL", "PAUSE", "RESUME", "RESTART", "SET_PERMS")
SLEEP = "import time\ntime.sleep(1000)\n"


def spawn(peer: Peer, name: str, script: str, **fields: Any) -> None:
    request = {"name": name, "script": script, "sandboxed": False, **fields}
    reply = peer.call(SPAWN, request).json()
    assert reply["success"] is True, reply


@pytest.fixture
def old(kernel: Kernel) -> Iterator[Peer]:
    """A connection that speaks version 1, with an agent `helper` and one `ended`.

    Those that an earlier test has left are used again: nearly every test needs both.
    """
    if not (kernel.place / "agent.py").exists():  # an agent that starts now would find it empty
        (kernel.place / "agent.py").write_text(SLEEP)
        (kernel.place / "short.py").write_text("raise SystemExit(3)\n")
    with kernel.peer() as peer:
        if not any(agent["name"] == "helper" for agent in peer.call(LIST).json()):
            spawn(peer, "helper", "agent.py", stdin="stream")
        if not any(agent["name"] == "on-terminal" for agent in peer.call(LIST).json()):
            spawn(peer, "on-terminal", "agent.py", tty={})
        if not peer.call(WAIT, {"name": "ended"}).json()[
            "success"
        ]:  # an earlier test has not made it
            spawn(peer, "ended", "short.py")
        assert peer.call(WAIT, {"name": "ended"}).json()["exit_code"] == 3
        yield peer
        for agent in peer.call(LIST).json():
            if agent["name"] not in ("helper", "on-terminal"):
                peer.call(KILL, {"id": agent["id"]})


@pytest.fixture
def new(kernel: Kernel, old: Peer) -> Iterator[Peer]:
    """One that speaks version 2."""
    with kernel.peer() as peer:
        peer.hello2()
        yield peer


@pytest.mark.parametrize(("syscall", "way", "request_"), CASES, ids=lambda part: str(part)[:30])
def test_what_was_not_asked_for_refuses_nothing(
    old: Peer, syscall: Syscall, way: str, request_: dict[str, Any]
) -> None:
    if syscall.name == "SPAWN":
        request_ = {**request_, "allow_degraded": False}
    body = check(syscall, old.call(syscall.opcode, request_))
    assert "warnings" not in body, body
    if syscall.name in ("HTTP", "RUN", "DIAL", "TUNNEL_CONNECT"):
        assert body.get("code") != "invalid_request", body  # nobody listens there, or runs there
    else:
        assert body.get("success", True) is True, body
    if syscall.name in CHANGE_THE_AGENT:
        old.call(KILL, {"name": "helper"})


def test_every_default_is_one_of_a_field() -> None:
    for name, fields in DEFAULTS.items():
        assert set(fields) <= set(BY_NAME[name].fields), name


def test_an_unsandboxed_agent_of_a_library_is_an_ordinary_one(old: Peer) -> None:
    request = {"name": "lib", "script": "agent.py", "sandboxed": False}
    body = check(BY_NAME["SPAWN"], old.call(SPAWN, {**request, **DEFAULTS["SPAWN"]}))
    assert body["success"] is True, body
    assert body["isolation"]["namespaces"]["net"] is False
    assert body["isolation"]["fully_isolated"] is False


def test_a_limit_that_is_no_default_counts_on_version_1_too(old: Peer) -> None:
    request = {"name": "lib", "script": "agent.py", "sandboxed": False}
    body = check(BY_NAME["SPAWN"], old.call(SPAWN, {**request, "limits": {"memory": 1 << 26}}))
    limited = old.call(SPAWN, {**request, "name": "plain"}).json()["isolation"]["cgroups"]
    assert body["success"] is limited["memory_limit"], body


def test_version_2_means_what_it_says(new: Peer) -> None:
    request = {"name": "v2", "script": "agent.py", "sandboxed": False, "network": False}
    body = check(BY_NAME["SPAWN"], new.call(SPAWN, request))
    assert (body["success"], body["code"]) == (False, "isolation_unavailable")


TYPOS = [
    (SPAWN, {"limits": {"mem": 1 << 26}}, "limits.mem", "memory"),
    (SPAWN, {"limits": {"cpu": 2}}, "limits.cpu", "cpu_quota"),
    (SPAWN, {"limits": {"memmory": 1 << 26}}, "limits.memmory", "memory"),
    (SPAWN, {"limits": {"pids": 4}}, "limits.pids", "max_pids"),
    (SPAWN, {"sandboxd": True}, "sandboxd", "sandboxed"),
    (0x01, {"messages": [{"role": "user", "parts": []}]}, "messages[0].parts", "content"),
    (0x01, {"messages": [{"role": "user", "text": "x"}]}, "messages[0].text", "content"),
    (0x01, {"tools": [{"name": "f", "input_schema": {}}]}, "tools[0].input_schema", "parameters"),
    (0x01, {"image": {"data": "eA==", "mimetype": "image/png"}}, "image.mimetype", "mime_type"),
    (0x01, {"max_token": 5}, "max_token", "max_tokens"),
    (0x02, {"time_out": 5}, "time_out", "timeout"),
    (0x03, {"ofset": 5}, "ofset", "offset"),
    (0x20, {"tll": 5}, "tll", "ttl"),
    (0x30, {"scop": "agent"}, "scop", "scope"),
    (0xC1, {"agentid": 5}, "agentid", "agent_id"),
]
MINIMAL = {syscall.opcode: syscall.minimal for syscall in SYSCALLS}


@pytest.mark.parametrize(("opcode", "fields", "where", "near"), TYPOS)
def test_version_1_is_told_what_it_misspelt_and_served(
    old: Peer, opcode: int, fields: dict[str, Any], where: str, near: str
) -> None:
    body = old.call(opcode, {**MINIMAL[opcode], **fields}).json()
    assert body["success"] is True, body
    assert any(where in words and near in words for words in body["warnings"]), body


@pytest.mark.parametrize(("opcode", "fields", "where", "near"), TYPOS)
def test_version_2_is_refused_with_the_near_name(
    new: Peer, opcode: int, fields: dict[str, Any], where: str, near: str
) -> None:
    body = new.call(opcode, {**MINIMAL[opcode], **fields}).json()
    assert (body["success"], body["code"]) == (False, "invalid_request"), body
    assert where in body["error"]
    assert near in body["hint"]


BUDGETS = [
    (0x42, {"syscall": "READ", "arguments": {"path": "/x", "ofset": 1}}, "offset"),
    (0x42, {"syscall": "EXEC", "arguments": {"commnd": "true"}}, "command"),
    (0x42, {"syscall": "CONNECT", "arguments": {"hots": "a", "port": 1}}, "host"),
    (SPAWN, {"permissions": {"can_spwan": True}}, "can_spawn"),
    (SPAWN, {"permissions": {"llm_quota": {"max_token": 5}}}, "max_tokens"),
    (SPAWN, {"llm_budget": {"tokens": 5}}, "max_tokens"),
    (0x41, {"permissions": {"allowed_path": []}}, "allowed_paths"),
]


@pytest.mark.parametrize(("opcode", "fields", "near"), BUDGETS)
def test_a_right_is_never_guessed_on_either_version(
    old: Peer, new: Peer, opcode: int, fields: dict[str, Any], near: str
) -> None:
    for peer in (old, new):
        body = peer.call(opcode, {**MINIMAL[opcode], **fields}).json()
        assert (body["success"], body["code"]) == (False, "invalid_request"), body
        assert near in body["hint"], body


@pytest.mark.parametrize("message", [{"role": "user"}, {"role": "user", "content": None}])
def test_a_message_that_says_nothing(old: Peer, new: Peer, message: dict[str, Any]) -> None:
    request = {"messages": [message]}
    refused = new.call(0x01, request).json()
    assert (refused["code"], "content" in refused["error"]) == ("invalid_request", True)
    served = old.call(0x01, request).json()
    assert served["success"] is True, served
    assert "content" in served["warnings"][0]


def test_the_conversation_of_another_library_is_understood(old: Peer, new: Peer) -> None:
    """It sends nulls where nothing is."""
    call: dict[str, Any] = {"name": "f", "arguments": {}, "id": "1", "signature": None}
    messages = [
        {"role": "user", "content": "x", "tool_calls": None, "name": None, "tool_call_id": None},
        {"role": "assistant", "content": None, "tool_calls": [call], "name": None},
        {"role": "tool", "content": "", "name": "f", "tool_call_id": None, "tool_calls": None},
    ]
    for peer in (old, new):
        body = peer.call(0x01, {"messages": messages, "tools": [{"name": "f", "parameters": None}]})
        assert body.json()["success"] is True, body
        assert "warnings" not in body.json()


def test_nulls_in_permissions_count_as_absent(old: Peer, new: Peer) -> None:
    permissions = {"level": None, "can_exec": False, "allowed_paths": None, "llm_quota": None}
    for number, peer in enumerate((old, new)):
        request = {**BY_NAME["SPAWN"].minimal, "name": f"n{number}", "permissions": permissions}
        assert peer.call(SPAWN, request).json()["success"] is True
        quota = {"llm_quota": {"max_tokens": 5, "max_calls": None}}
        request = {**request, "name": f"q{number}", "permissions": quota}
        assert peer.call(SPAWN, request).json()["success"] is True


def test_a_null_in_an_unknown_field_is_ignored(old: Peer, new: Peer) -> None:
    for peer in (old, new):
        body = peer.call(0x33, {"later": None}).json()
        assert body["success"] is True
        assert "warnings" not in body


def test_a_warning_goes_with_an_error_as_well(old: Peer) -> None:
    body = old.call(0x03, {"path": "/proc/nowhere/there", "ofset": 1}).json()
    assert body["code"] == "not_found"
    assert "offset" in body["warnings"][0]
    body = old.call(0x03, {"pth": "x"}).json()
    assert (body["code"], "path" in body["hint"]) == ("invalid_request", True)


def test_the_kernels_log_has_warnings_and_is_not_flooded(kernel: Kernel, old: Peer) -> None:
    for number in range(100):
        body = old.call(0x33, {f"mark\x1b\n{number}": 1}).json()
        assert body["success"] is True
    log = kernel.log.read_text()
    assert 1 <= log.count("mark\\x1b\\n") <= 16
    assert "mark\x1b" not in log


def test_no_id_and_no_name_are_0_and_empty(old: Peer) -> None:
    """One way to name an agent is enough; the other may be there with nothing in it."""
    agents = {agent["name"]: agent["id"] for agent in old.call(LIST).json()}
    own = old.call(0x40).json()["agent_id"]
    for opcode, request in (
        (0x14, {"name": "helper", "id": 0}),
        (0x15, {"name": "", "id": agents["helper"]}),
        (0x16, {"name": "", "id": agents["helper"]}),
        (0x20, {"to": 0, "to_name": "helper", "message": 1}),
        (0x20, {"to": agents["helper"], "to_name": "", "message": 1}),
        (0x40, {"agent_id": 0}),
        (0x76, {"agent_id": 0, "category": "", "since_id": 0}),
    ):
        body = old.call(opcode, request).json()
        assert body["success"] is True, (opcode, request, body)
    assert old.call(0xC1, {"agent_id": 0}).json()["metrics"]["agent_id"] == own
