"""What is found on a real file system for what a sandbox is to show."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clove.errors import InvalidRequest, IsolationUnavailable
from clove.kernel.agents.exposure import Exposure, Wish
from clove.kernel.agents.host_scan import Keepsakes
from clove.kernel.agents.survey import expose
from clove.sandbox.spec import NAMESPACES, SandboxSpec

SPEC = SandboxSpec(argv=("/bin/true",), namespaces=frozenset(NAMESPACES))
Found = Callable[..., Exposure]


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
    keepsakes = Keepsakes(
        secret=(str(tmp_path / "t" / "state"),),
        fixed=(str(tmp_path / "t" / "code"), str(tmp_path / "t" / "own.toml")),
        blank_directory="/blank/directory",
        blank_file="/blank/file",
    )

    def find(wished: Wish, mounts: int = 100, entries: int = 100) -> Exposure:
        return expose(wished, SPEC, keepsakes, mounts=mounts, entries=entries)

    return find


def covered(exposure: Exposure, tree: Path) -> dict[str, str]:
    """What is covered, by its relative name, and with what."""
    return {
        os.path.relpath(bind.target, tree): bind.source.rpartition("/")[2]
        for bind in exposure.binds
        if bind.source.startswith("/blank/")
    }


def test_wildcards_find_files_and_whole_directories(tree: Path, found: Found) -> None:
    exposure = found(Wish(read=(f"{tree}/*.csv", f"{tree}/*/out/**", f"{tree}/**/.env")))
    assert set(exposure.read) == {
        f"{tree}/a.csv",
        f"{tree}/one/out",
        f"{tree}/two/out",
        f"{tree}/sub/.env",
        f"{tree}/sub/deep/.env",
    }


def test_links_are_not_followed(tree: Path, found: Found) -> None:
    (tree / "link.csv").symlink_to("b.txt")
    (tree / "dir").symlink_to("one")
    assert found(Wish(read=(f"{tree}/*.csv",))).read == (f"{tree}/a.csv",)
    assert f"{tree}/dir/out" not in found(Wish(read=(f"{tree}/*/out",))).read
    with pytest.raises(InvalidRequest):
        found(Wish(read=(f"{tree}/dir/out",)))


def test_blocked_names_are_found_at_every_depth(tree: Path, found: Found) -> None:
    exposure = found(Wish(read=(str(tree),), blocked=("**/.env", f"{tree}/one")))
    assert covered(exposure, tree) == {
        "one": "directory",
        "sub/.env": "file",
        "sub/deep/.env": "file",
    }
    assert exposure.unguarded == ("**/.env",)


def test_a_blocked_name_that_is_a_link_is_told(tree: Path, found: Found) -> None:
    (tree / "current").symlink_to("one")
    wished = Wish(read=(str(tree),), blocked=(f"{tree}/current/out", f"{tree}/nowhere"))
    assert found(wished).unguarded == wished.blocked
    for blocked in wished.blocked:
        with pytest.raises(IsolationUnavailable):
            found(Wish(write=(str(tree),), blocked=(blocked,)))


def test_what_is_blocked_as_a_whole_is_not_shown(tree: Path, found: Found) -> None:
    exposure = found(Wish(read=(f"{tree}/sub/**",), blocked=(f"{tree}/s*",)))
    assert exposure == Exposure()
    contents = found(Wish(read=(f"{tree}/sub",), blocked=(f"{tree}/sub/*",)))
    assert covered(contents, tree) == {"sub": "directory"}


def test_the_kernels_own_is_kept(tree: Path, found: Found) -> None:
    (tree / "state").mkdir()
    exposure = found(Wish(write=(str(tree),)))
    assert covered(exposure, tree) == {"state": "directory"}
    assert [bind.writable for bind in exposure.binds if bind.target == f"{tree}/code"] == [False]
    for wished in (Wish(read=(f"{tree}/state",)), Wish(write=(f"{tree}/code/x*",))):
        with pytest.raises(InvalidRequest):
            found(wished)
    assert found(Wish(read=(f"{tree}/code",))).read == (f"{tree}/code",)


def test_what_a_wildcard_finds_of_the_kernels_own_is_not_writable(tree: Path, found: Found) -> None:
    (tree / "other.toml").touch()
    exposure = found(Wish(write=(f"{tree}/*.toml", f"{tree}/c*/**")))
    assert set(exposure.write) == {f"{tree}/other.toml"}
    assert set(exposure.read) == {f"{tree}/own.toml", f"{tree}/code"}


def test_a_file_of_the_kernels_own_stays_and_cannot_be_made_by_others(
    tree: Path, found: Found
) -> None:
    kept = [bind for bind in found(Wish(write=(str(tree),))).binds if bind.target.endswith(".toml")]
    assert [(bind.source, bind.target, bind.writable) for bind in kept] == [
        (f"{tree}/own.toml", f"{tree}/own.toml", False)
    ]
    (tree / "own.toml").unlink()
    with pytest.raises(IsolationUnavailable, match="not there"):
        found(Wish(write=(str(tree),)))


def test_a_link_to_the_kernels_own_is_not_left_to_those_who_could_change_it(
    tree: Path, found: Found, tmp_path: Path
) -> None:
    (tmp_path / "real.toml").touch()
    (tree / "own.toml").unlink()
    (tree / "own.toml").symlink_to(tmp_path / "real.toml")
    with pytest.raises(IsolationUnavailable, match="is a link"):
        found(Wish(write=(str(tree),)))
    assert found(Wish(read=(str(tree),), write=(f"{tree}/sub",))).write == (f"{tree}/sub",)


def test_limits_refuse(tree: Path, found: Found) -> None:
    with pytest.raises(IsolationUnavailable) as caught:
        found(Wish(read=(f"{tree}/**/.env",)), entries=3)
    assert "exposed_entries" in caught.value.hint
    with pytest.raises(IsolationUnavailable) as caught:
        found(Wish(read=(str(tree),), blocked=("**/.env",)), mounts=2)
    assert "exposed_mounts" in caught.value.hint
    with pytest.raises(IsolationUnavailable) as caught:
        found(Wish(write=(str(tree),), blocked=("/**/deep/.env",)), mounts=3)
    assert "exposed_mounts" in caught.value.hint


def test_what_is_no_file_is_not_granted(tree: Path, found: Found) -> None:
    os.mkfifo(tree / "fifo")
    with pytest.raises(InvalidRequest):
        found(Wish(read=(f"{tree}/fifo",)))
    assert found(Wish(read=(f"{tree}/fif*",))).read == ()
