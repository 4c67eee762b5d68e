"""NETLINK_ROUTE, by which agents list their own interfaces: nothing can be changed by it (row 9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adversary.arena import Arena


@pytest.fixture(scope="module", params=["main", "command"])
def how(request: pytest.FixtureRequest) -> str:
    """Which program attempts it: the agent's main program, or a command of its."""
    return str(request.param)


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "network"])
def inside(request: pytest.FixtureRequest, arena: Arena, how: str) -> dict[str, Any]:
    """What every attempt came to."""
    found: dict[str, Any] = arena.attempts(
        "netlink_attempts.py", as_command=how == "command", network=request.param
    )
    return found


def test_interfaces_are_read_and_nothing_is_changed(inside: dict[str, Any]) -> None:
    assert inside == {
        "changes": ["EPERM"],
        "loopback_down": "EPERM",
        "by_datagrams": "EPERM",
        "interfaces": [["lo", 1]],
        "listed_by_python": [[1, "lo"]],
        "to_another_process": "EPERM",
        "of_all_namespaces": "EPERM",
        "other_protocols": ["EPERM"],
        "a_filter": "EPERM",
        "loopback_works": True,
    }
