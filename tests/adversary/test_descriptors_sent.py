"""Descriptors that agents send to the kernel's sockets: each may be slow to close, or never end.

On a Linux that has SO_PASSRIGHTS (6.16) they are refused; the kernel also runs as if it had
none, as on older ones. Either way it serves others, and ends when it is told to.
"""

from __future__ import annotations

from typing import Any

import pytest

from clove.loop.watchdog import LONG
from tests.adversary.arena import Arena
from tests.adversary.witness import Witness


@pytest.fixture(scope="module")
def inside(arena_on_linux: tuple[str, Arena]) -> dict[str, Any]:
    """What every attempt came to, and the witness."""
    linux, arena = arena_on_linux
    before = len(arena.kernel.log)
    with Witness(arena) as witness:
        found: dict[str, Any] = arena.attempts("descriptor_attempts.py")
    return {
        "witness": witness,
        "refusing": linux == "refusing",
        "attempts": found,
        "log": arena.kernel.log[before:],
    }


def test_others_are_served_all_the_while(inside: dict[str, Any]) -> None:
    witness: Witness = inside["witness"]
    assert witness.failures == []
    assert witness.served > 0


def test_no_turn_of_the_reactor_is_held_up(inside: dict[str, Any]) -> None:
    lines = inside["log"].splitlines()
    assert [line for line in lines if f"{LONG} was held up" in line] == []


def test_no_descriptor_is_taken(inside: dict[str, Any]) -> None:
    expected = {
        "a_socket_that_lingers": "cut off, told why",
        "a_socket_that_lingers_unread": "cut off, told why",
        "a_socket_that_lingers_out_of_band": "cut off, told why",
        "a_socket_within_a_socket": "cut off, told why",
        "much_memory": "cut off, told why",
        "a_deleted_file": "cut off, told why",
        "a_connection_left_at_once": "left",
        "more_connections_than_it_may_have": "left",
    }
    if inside["refusing"]:
        expected = dict.fromkeys(expected, "EPERM")
    assert inside["attempts"] == expected
