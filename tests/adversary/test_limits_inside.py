"""An agent that takes all that it can get, while others are served: row 26 of the attacks.

What hostile clients do to the kernel's socket is in tests/conformance/test_connection_limits.py; a
full disk below the kernel's files in tests/integration/test_files.py; memory and processes
under cgroups in tests/vm/test_guest_limits.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena
from tests.adversary.witness import Witness

MIB = 1 << 20
GROWTH = 256 * MIB
"""What the kernel may hold for one agent: unsent replies, requests in work, messages, state and
its log have bounds of 64 MiB and less each (docs/limits.md)."""
SIZES = [2**63, 2**64 - 1, 2**32, MIB + 1]


@pytest.fixture(scope="module")
def inside(arena: Arena) -> dict[str, Any]:
    """What every attempt came to, and the witness."""
    with Witness(arena) as witness:
        found: dict[str, Any] = arena.attempts("limit_attempts.py")
    found["witness"] = witness
    return found


def test_others_are_served_all_the_while(inside: dict[str, Any]) -> None:
    witness: Witness = inside["witness"]
    assert witness.failures == []
    assert witness.served > 10


def test_the_kernels_memory_stays_bounded(inside: dict[str, Any]) -> None:
    witness: Witness = inside["witness"]
    assert witness.most - witness.before < GROWTH


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_that_is_too_long_is_answered_and_the_connection_closed(
    inside: dict[str, Any], size: int
) -> None:
    assert inside[f"size {size}"] == ["limit_exceeded", True]


def test_what_is_never_read_is_held_back(inside: dict[str, Any]) -> None:
    assert inside["garbage"] == "closed"
    assert inside["replies unread"] in ("held", "closed")
    assert inside["lists unread"] in ("held", "closed")


def test_connections_messages_and_state_have_bounds(inside: dict[str, Any]) -> None:
    taken, code = inside["connections"]
    assert taken <= 65
    assert code == "limit_exceeded"
    assert inside["sends"] == ["limit_exceeded"]
    assert inside["stores"] == "limit_exceeded"
    assert inside["passed_descriptors"] in ("served", "closed", "EPERM")


def test_commands_at_once_have_a_bound(inside: dict[str, Any]) -> None:
    assert inside["commands"] == ["limit_exceeded"]


def test_its_own_descriptors_processes_and_memory_have_bounds(inside: dict[str, Any]) -> None:
    assert inside["descriptors"] == ["EMFILE", True]
    error, forked = inside["forks"]
    assert error == "EAGAIN"
    assert forked < 70
    refused, started = inside["threads"]
    assert refused == "refused"
    assert started < 70
    assert inside["memory"] in ("MemoryError", "SIGKILL")


def test_its_temporary_files_have_bounds(inside: dict[str, Any]) -> None:
    """Its workspace has none: docs/security.md says so."""
    assert inside["temporary files full"] == inside["shared memory full"] == "ENOSPC"
    error, made = inside["files without content"]
    assert error == "ENOSPC"
    assert made < 70_000


def test_a_flood_of_output_is_taken_and_kept_in_bounds(
    arena: Arena, inside: dict[str, Any]
) -> None:
    assert inside["output"] == "written"
    logs = Path(arena.kernel.state_dir, "logs")
    assert all(path.stat().st_size < 8 * MIB for path in logs.iterdir())
