"""What is found on a real file system for what a sandbox is to show."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clove.errors import InvalidRequest, IsolationUnavailable
from clove.kernel.mounts.host_scan import scan_host
from clove.kernel.mounts.mount_plan import MountPlan
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.mounts.scan_bounds import ProtectedPaths
from clove.sandbox.spec import NAMESPACES, SandboxSpec

SPEC = SandboxSpec(argv=("/bin/true",), namespaces=frozenset(NAMESPACES))
Found = Callable[..., MountPlan]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files to look for."""
    for name in ("a.csv", "b.txt", "one/out/x", "two/out/x", "sub/.env", "sub/deep/.env"):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).touch()
    (tmp_path / "t" / "code").mkdir()
    (tmp_path / "t" / "own.toml").touch()
    return tmp_path.resolve() / "t"


@pytest.fixture
def found(tmp_path: Path) -> Found:
    protected = ProtectedPaths(
        masked=(str(tmp_path / "t" / "state"),),
        read_only=(str(tmp_path / "t" / "code"), str(tmp_path / "t" / "own.toml")),
        blank_directory="/blank/directory",
        blank_file="/blank/file",
    )

    def find(request: MountRequest, mounts: int = 100, entries: int = 100) -> MountPlan:
        return scan_host(request, SPEC, protected, mounts=mounts, entries=entries)

    return find


def covered(plan: MountPlan, tree: Path) -> dict[str, str]:
    """What is covered, by its relative name, and with what."""
    return {
        os.path.relpath(bind.target, tree): bind.source.rpartition("/")[2]
        for bind in plan.binds
        if bind.source.startswith("/blank/")
    }


def test_wildcards_find_files_and_whole_directories(tree: Path, found: Found) -> None:
    plan = found(MountRequest(read=(f"{tree}/*.csv", f"{tree}/*/out/**", f"{tree}/**/.env")))
    assert set(plan.read) == {
        f"{tree}/a.csv",
        f"{tree}/one/out",
        f"{tree}/two/out",
        f"{tree}/sub/.env",
        f"{tree}/sub/deep/.env",
    }


def test_links_are_not_followed(tree: Path, found: Found) -> None:
    (tree / "link.csv").symlink_to("b.txt")
    (tree / "dir").symlink_to("one")
    assert found(MountRequest(read=(f"{tree}/*.csv",))).read == (f"{tree}/a.csv",)
    assert f"{tree}/dir/out" not in found(MountRequest(read=(f"{tree}/*/out",))).read
    with pytest.raises(InvalidRequest):
        found(MountRequest(read=(f"{tree}/dir/out",)))


def test_blocked_names_are_found_at_every_depth(tree: Path, found: Found) -> None:
    plan = found(MountRequest(read=(str(tree),), blocked=("**/.env", f"{tree}/one")))
    assert covered(plan, tree) == {
        "one": "directory",
        "sub/.env": "file",
        "sub/deep/.env": "file",
    }
    assert plan.unguarded == ("**/.env",)


def test_a_blocked_name_that_is_a_link_is_told(tree: Path, found: Found) -> None:
    (tree / "current").symlink_to("one")
    request = MountRequest(read=(str(tree),), blocked=(f"{tree}/current/out", f"{tree}/nowhere"))
    assert found(request).unguarded == request.blocked
    for blocked in request.blocked:
        with pytest.raises(IsolationUnavailable):
            found(MountRequest(write=(str(tree),), blocked=(blocked,)))


def test_what_is_blocked_as_a_whole_is_not_shown(tree: Path, found: Found) -> None:
    plan = found(MountRequest(read=(f"{tree}/sub/**",), blocked=(f"{tree}/s*",)))
    assert plan == MountPlan()
    contents = found(MountRequest(read=(f"{tree}/sub",), blocked=(f"{tree}/sub/*",)))
    assert covered(contents, tree) == {"sub": "directory"}


def test_the_kernels_own_is_kept(tree: Path, found: Found) -> None:
    (tree / "state").mkdir()
    plan = found(MountRequest(write=(str(tree),)))
    assert covered(plan, tree) == {"state": "directory"}
    assert [bind.writable for bind in plan.binds if bind.target == f"{tree}/code"] == [False]
    for request in (
        MountRequest(read=(f"{tree}/state",)),
        MountRequest(write=(f"{tree}/code/x*",)),
    ):
        with pytest.raises(InvalidRequest):
            found(request)
    assert found(MountRequest(read=(f"{tree}/code",))).read == (f"{tree}/code",)


def test_what_a_wildcard_finds_of_the_kernels_own_is_not_writable(tree: Path, found: Found) -> None:
    (tree / "other.toml").touch()
    plan = found(MountRequest(write=(f"{tree}/*.toml", f"{tree}/c*/**")))
    assert set(plan.write) == {f"{tree}/other.toml"}
    assert set(plan.read) == {f"{tree}/own.toml", f"{tree}/code"}


def test_a_file_of_the_kernels_own_stays_and_cannot_be_made_by_others(
    tree: Path, found: Found
) -> None:
    kept = [
        bind
        for bind in found(MountRequest(write=(str(tree),))).binds
        if bind.target.endswith(".toml")
    ]
    assert [(bind.source, bind.target, bind.writable) for bind in kept] == [
        (f"{tree}/own.toml", f"{tree}/own.toml", False)
    ]
    (tree / "own.toml").unlink()
    with pytest.raises(IsolationUnavailable, match="not there"):
        found(MountRequest(write=(str(tree),)))


def test_a_link_to_the_kernels_own_is_not_left_to_those_who_could_change_it(
    tree: Path, found: Found, tmp_path: Path
) -> None:
    (tmp_path / "real.toml").touch()
    (tree / "own.toml").unlink()
    (tree / "own.toml").symlink_to(tmp_path / "real.toml")
    with pytest.raises(IsolationUnavailable, match="is a link"):
        found(MountRequest(write=(str(tree),)))
    assert found(MountRequest(read=(str(tree),), write=(f"{tree}/sub",))).write == (f"{tree}/sub",)


def test_limits_refuse(tree: Path, found: Found) -> None:
    with pytest.raises(IsolationUnavailable) as caught:
        found(MountRequest(read=(f"{tree}/**/.env",)), entries=3)
    assert "exposed_entries" in caught.value.hint
    with pytest.raises(IsolationUnavailable) as caught:
        found(MountRequest(read=(str(tree),), blocked=("**/.env",)), mounts=2)
    assert "exposed_mounts" in caught.value.hint
    with pytest.raises(IsolationUnavailable) as caught:
        found(MountRequest(write=(str(tree),), blocked=("/**/deep/.env",)), mounts=3)
    assert "exposed_mounts" in caught.value.hint


def test_what_is_no_file_is_not_granted(tree: Path, found: Found) -> None:
    os.mkfifo(tree / "fifo")
    with pytest.raises(InvalidRequest):
        found(MountRequest(read=(f"{tree}/fifo",)))
    assert found(MountRequest(read=(f"{tree}/fif*",))).read == ()
