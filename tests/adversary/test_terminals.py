"""The pseudoterminals of a sandbox: its own, bounded, and good for nothing but terminals (row 7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adversary.arena import Arena

MOST = 32


@pytest.fixture(scope="module", params=["main", "command"])
def inside(request: pytest.FixtureRequest, arena: Arena) -> dict[str, Any]:
    """What every attempt came to, of an agent's main program and of a command."""
    reply = arena.begin_attempts("terminal_attempts.py", as_command=request.param == "command")
    found: dict[str, Any] = arena.printed(reply["id"])
    return found


def test_a_terminal_of_ones_own_works(inside: dict[str, Any]) -> None:
    assert inside["own_one"] == ["/dev/pts", True, "0o600", "out\r\n", "in\n", [7, 11]]


def test_there_are_so_many_at_a_time_and_again_later(inside: dict[str, Any]) -> None:
    assert inside["as_many_as_there_are"] == [[MOST, "ENOSPC"]] * 2


def test_no_terminal_of_anybody_else_is_seen(inside: dict[str, Any]) -> None:
    """The host has some while CI runs in one, and other agents have had theirs."""
    assert inside["listed"] == ["ptmx"]


def test_nothing_but_terminals_is_in_their_directory(inside: dict[str, Any]) -> None:
    assert inside["attributes"] == ["max=32", "noexec", "nosuid"]
    for name in ("a file", "a directory", "a link"):
        assert inside[name] in ("EPERM", "EACCES"), name


def test_no_line_discipline_is_loaded(inside: dict[str, Any]) -> None:
    assert inside["line_disciplines"] == ["EPERM"]


def test_the_machines_terminals_and_their_number_stay(inside: dict[str, Any]) -> None:
    for name in ("more for all", "more in reserve"):
        assert inside[name] in ("EPERM", "EACCES", "EROFS"), name
    assert inside["a console"] == inside["a virtual console"] == "ENOENT"
