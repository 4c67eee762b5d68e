"""Replies, held against the contract."""

from __future__ import annotations

from typing import Any

from tests.conformance.contract import CODES, SYSCALLS
from tests.conformance.contract_lines import Syscall
from tests.conformance.json_types import is_one_of
from tests.conformance.peer import Reply

BY_NAME = {syscall.name: syscall for syscall in SYSCALLS}


MAX_PAYLOAD = 1 << 20


def check(syscall: Syscall, reply: Reply) -> dict[str, Any]:
    """Assert that a reply is what the contract says; the JSON object, {} for an array."""
    assert reply.opcode == syscall.opcode
    assert reply.agent_id > 0
    body = reply.json()
    if syscall.reply is None and isinstance(body, list):
        return {}
    assert isinstance(body, dict), body
    if body.get("success") is not True and "code" in body:
        assert body["success"] is False, body
        assert isinstance(body["error"], str), body
        assert body["error"], body
        assert body["code"] in CODES, body
        if body["code"] == "permission_denied":
            assert body["error"].startswith("Permission denied"), body
            assert body["rule"], body
            assert "hint" in body, body
    for field, kinds in (syscall.reply or {}).items():
        assert field in body, f"{field} is missing in {body}"
        assert is_one_of(body[field], kinds), f"{field} of {body} is not {kinds}"
    return body
