"""Maps of ids for mounts, and the process that makes their namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove.sandbox.diagnostics import weaker
from clove.sandbox.id_maps import KEPT, IdMaps, MapDescriptors
from clove.sandbox.inside.id_mapper import id_map
from clove.sandbox.spec import NAMESPACES, Bind, Owner, SandboxSpec

WHOLE = [(0, 4294967295)]
ALICE = Owner(1000, 100)
MAPPED = Bind("/srv/a", "/srv/a", writable=True, owner=ALICE)
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root maps owners")


@pytest.mark.parametrize(
    ("owner", "agent", "known", "text"),
    [
        (0, 700, WHOLE, "0 700 1\n1 1 699\n701 701 4294966594\n"),
        (1000, 700, WHOLE, "1000 700 1\n0 0 700\n701 701 299\n1001 1001 4294966294\n"),
        (5, 70, [(0, 10), (60, 20)], "5 70 1\n0 0 5\n6 6 4\n60 60 10\n71 71 9\n"),
        (9, 10, [(0, 11)], "9 10 1\n0 0 9\n"),
    ],
)
def test_an_owner_is_the_agent_and_all_others_stay_what_they_are(
    owner: int, agent: int, known: list[tuple[int, int]], text: str
) -> None:
    assert id_map(owner, agent, known) == text


@pytest.fixture
def maps() -> Iterator[IdMaps]:
    made = IdMaps()
    yield made
    made.close()


def namespace(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


@root_only
def test_namespaces_differ_by_owner_and_agent_and_are_kept_for_a_while(maps: IdMaps) -> None:
    first = namespace(maps.open_map((0, 0), 70001))
    assert namespace(maps.open_map((0, 0), 70001)) == first
    assert namespace(maps.open_map((0, 0), 70002)) != first
    assert first != os.stat("/proc/self/ns/user").st_ino
    before = len(os.listdir("/proc/self/fd"))
    for number in range(2 * KEPT):
        os.close(maps.open_map((number, 0), 70003))
    assert len(os.listdir("/proc/self/fd")) <= before + KEPT


@root_only
def test_an_id_that_cannot_be_is_an_error_and_the_next_one_is_answered(maps: IdMaps) -> None:
    with pytest.raises(OSError, match="id map"):
        maps.open_map((1 << 32, 0), 70001)
    os.close(maps.open_map((0, 0), 70001))


@root_only
def test_a_mapper_that_is_gone_is_started_again(maps: IdMaps) -> None:
    os.close(maps.open_map((0, 0), 70001))
    assert maps._process is not None
    maps._process.kill()
    maps._process.wait()
    with pytest.raises(OSError, match="does not answer"):
        maps.open_map((1, 0), 70001)
    os.close(maps.open_map((1, 0), 70001))


def test_nothing_is_made_after_the_end() -> None:
    maps = IdMaps()
    maps.close()
    with pytest.raises(OSError, match="shutdown"):
        maps.open_map((0, 0), 70001)


def test_binds_without_an_owner_need_no_map() -> None:
    held = MapDescriptors()
    held.open_maps([Bind("/usr", "/usr")], None)
    assert held.descriptors == []
    with pytest.raises(PermissionError):
        held.open_maps([MAPPED], None)


def spec(**fields: object) -> SandboxSpec:
    known = {"argv": ("x",), "namespaces": frozenset(NAMESPACES), "uid": 70001, "binds": (MAPPED,)}
    return SandboxSpec(**{**known, **fields})  # type: ignore[arg-type]


def test_an_owner_is_only_mapped_where_calls_are_filtered() -> None:
    assert SandboxSpec.from_json(spec().to_json()) == spec()
    for fields in ({"seccomp": False}, {"uid": None}):
        with pytest.raises(ValueError, match="owners"):
            spec(**fields)
    less = weaker(spec(), "seccomp")
    assert less is not None
    assert [bind.owner for bind in less.binds] == [None]


def test_the_mapper_is_where_it_is_started_from() -> None:
    from clove.sandbox import id_maps

    assert Path(id_maps.MAPPER).is_file()
