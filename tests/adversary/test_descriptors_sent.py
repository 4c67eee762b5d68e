"""Descriptors that agents send to the kernel's sockets: each may be slow to close, or never end.

On a Linux that has SO_PASSRIGHTS (6.16) they are refused; the kernel also runs as if it had
none, as on older ones. Either way it serves others, and ends when it is told to.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from clove.kernel.unix_port import refuse_descriptors
from clove.kernel.watchdog import LONG
from tests.adversary.arena import WAYS, Arena, Kernels
from tests.adversary.test_exhaustion_inside import Witness

OLDER = ("env", "CLOVE_TEST_NO_PASSRIGHTS=1")
LINUX = ("refusing", "older")


@pytest.fixture(scope="module")
def linuxes() -> Iterator[dict[str, Kernels]]:
    """Kernels as on either Linux; they are stopped while closes are under way."""
    with contextlib.ExitStack() as stack:
        yield {"refusing": Kernels(stack), "older": Kernels(stack, OLDER)}


@pytest.fixture(
    scope="module",
    params=[(linux, way) for linux in LINUX for way in WAYS],
    ids=lambda param: "-".join((param[0], *param[1])),
)
def inside(request: pytest.FixtureRequest, linuxes: dict[str, Kernels]) -> dict[str, Any]:
    """What every attempt came to, and the witness."""
    linux, way = request.param
    with socket.socket(socket.AF_UNIX) as probe:
        if linux == "refusing" and not refuse_descriptors(probe):
            pytest.skip("needs Linux 6.16")
    arena: Arena = linuxes[linux].arena(*way)
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
