"""What a library that speaks version 1 puts into every request, though nobody asked for it.

Its calls have a parameter for each field of the contract, and send all of them: with the
contract's default where it has one, else as null, or as the empty value of the type.
"""

from __future__ import annotations

from typing import Any

from tests.conformance.contract import SYSCALLS
from tests.conformance.contract_lines import Syscall

DEFAULTS: dict[str, dict[str, Any]] = {
    "EXEC": {"timeout": 30, "async": False},
    "READ": {"offset": 0, "encoding": "utf-8"},
    "WRITE": {"mode": "write", "encoding": "utf-8"},
    "THINK": {"stream": False, "async": False},
    "SPAWN": {
        "args": [],
        "env": {},
        "network": False,
        "limits": {
            "memory": 268435456,
            "max_pids": 64,
            "cpu_quota": 100000,
            "cpu_period": 100000,
            "cpu_shares": 1024,
        },
        "restart_policy": "never",
        "max_restarts": 5,
        "restart_window": 300,
        "allow_degraded": False,
    },
    "LIST": {"all": False},
    "LISTDIR": {"after": "", "limit": 1000},
    "STAT": {"follow": True},
    "MKDIR": {"mode": 0o755},
    "RECV": {"max": 10, "wait": 0, "ack": "auto"},
    "BROADCAST": {"include_self": False},
    "STORE": {"scope": "global"},
    "KEYS": {"prefix": ""},
    "HTTP": {"method": "GET", "timeout": 30, "async": False},
    "SUBSCRIBE": {"all": False},
    "UNSUBSCRIBE": {"all": False},
    "POLL_EVENTS": {"max": 10},
    "GET_AUDIT_LOG": {"limit": 100},
    "ASYNC_POLL": {"max": 10},
    "LLM_REPORT": {"success": True},
    "HELLO": {"protocol_version": 1},
}
"""The defaults that docs/wire.md gives, by syscall."""

EMPTY: dict[str, Any] = {"string": "", "array": [], "object": {}}


def explicit(syscall: Syscall) -> dict[str, Any]:
    """Each optional field as the contract's default, else as null."""
    return {**_optional(syscall), **DEFAULTS.get(syscall.name, {}), **syscall.minimal}


def nulls(syscall: Syscall) -> dict[str, Any]:
    """Each optional field as null."""
    return {**_optional(syscall), **syscall.minimal}


def empties(syscall: Syscall) -> dict[str, Any]:
    """Each optional field as the empty value of its first type that has one, else left out."""
    found = {}
    for field in _optional(syscall):
        for kind in syscall.fields[field].split("|"):
            if kind in EMPTY and field not in found:
                found[field] = EMPTY[kind]
    return {**found, **syscall.minimal}


def _optional(syscall: Syscall) -> dict[str, Any]:
    return {field: None for field in syscall.fields if field not in syscall.required}


WAYS = {"explicit defaults": explicit, "nulls": nulls, "empty values": empties}
CASES = [(syscall, way, build(syscall)) for syscall in SYSCALLS for way, build in WAYS.items()]
