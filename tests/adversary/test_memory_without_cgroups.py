"""What limits memory where there is no cgroup: less than a limit, and `isolation` says so."""

from __future__ import annotations

from typing import Any

import pytest

from clove.errors import IsolationUnavailable
from tests.adversary.arena import Arena

MIB = 1 << 20
LIMIT = 256 * MIB
"""The default: one that is named is watched, which test_memory_watch.py has."""
EATER = """
import json, mmap, os, sys

SIZE = int(sys.argv[-1]) + (16 << 20)

def private():
    return len(bytearray(SIZE))

def shared(handle):
    if handle >= 0:
        os.ftruncate(handle, SIZE)
    with mmap.mmap(handle, SIZE) as memory:
        for page in range(0, SIZE, mmap.PAGESIZE):
            memory[page] = 1
    return SIZE

found = {}
ways = {
    "private": private,
    "MAP_SHARED": lambda: shared(-1),
    "memfd": lambda: shared(os.memfd_create("room")),
}
for name, eat in ways.items():
    try:
        found[name] = eat() == SIZE
    except MemoryError:
        found[name] = "MemoryError"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def eaten(arena: Arena) -> dict[str, Any]:
    started = arena.begin(EATER, str(LIMIT))
    if started["isolation"]["cgroups"]["memory_limit"]:
        pytest.skip("cgroups hold all of it here (tests/vm/test_guest_limits.py)")
    found: dict[str, Any] = arena.printed(started["id"])
    return {**found, "isolation": started["isolation"]}


def test_private_memory_of_a_process_has_an_end(eaten: dict[str, Any]) -> None:
    assert eaten["private"] == "MemoryError"


RAISER = """
import json, resource
soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
try:
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, hard))
    print(json.dumps("raised"))
except ValueError:
    print(json.dumps("refused"))
"""


def test_only_where_the_caller_accepts_less_may_a_program_reserve_more(
    arena: Arena, eaten: dict[str, Any]
) -> None:
    assert arena.run(RAISER) == "refused"
    assert arena.run(RAISER, degrade=["limits"]) == "raised"
    assert "watch" not in eaten["isolation"]["degraded_reason"]


def test_what_is_not_counted_is_called_so(eaten: dict[str, Any]) -> None:
    said = eaten["isolation"]["degraded_reason"]
    assert f"{LIMIT} bytes of private memory" in said
    for way in ("MAP_SHARED", "memfd"):  # if one of these is held some day the words may go
        assert (way in said) == (eaten[way] is True)
    assert not eaten["isolation"]["fully_isolated"]


def test_a_limit_that_is_named_is_held_or_refused(arena: Arena, eaten: dict[str, Any]) -> None:
    with pytest.raises(IsolationUnavailable, match="memory"):
        arena.begin("", limits={"memory": LIMIT})
