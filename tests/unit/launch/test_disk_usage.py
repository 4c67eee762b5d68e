"""What a workspace has on its disk, as the agent would like it counted or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clove.kernel.launch.disk_usage import DEEPEST, ENTRY_BYTES, Walk

MUCH = 1 << 40


def counted(path: Path, most: int = MUCH) -> Walk:
    walk = Walk(str(path), most)
    before = len(os.listdir("/proc/self/fd"))
    while not walk.advance(0.0):
        pass
    assert len(os.listdir("/proc/self/fd")) < before  # it has closed what it held
    return walk


def test_files_count_with_their_blocks_and_holes_do_not(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_bytes(b"x" * 1_000_000)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    walk = counted(tmp_path)
    assert 1_000_000 <= walk.used < 1_100_000
    assert walk.hidden == ""


def test_empty_files_count_and_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}").touch()
    assert counted(tmp_path).used == 100 * ENTRY_BYTES
    (tmp_path / "0").write_bytes(b"x" * 1_000_000)
    os.link(tmp_path / "0", tmp_path / "again")
    assert counted(tmp_path).used < 1_100_000


def test_links_are_not_followed_and_a_cycle_ends(tmp_path: Path) -> None:
    (tmp_path / "all").symlink_to("/")
    (tmp_path / "self").symlink_to(tmp_path)
    assert counted(tmp_path).used < 16 << 10


def test_it_stops_when_it_is_more_than_enough(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}").touch()
    assert counted(tmp_path, 10 * ENTRY_BYTES).used < 1000 * ENTRY_BYTES


def test_what_is_too_deep_is_told(tmp_path: Path) -> None:
    here = tmp_path
    for _ in range(DEEPEST + 5):
        here = here / "d"
    here.mkdir(parents=True)
    assert "deep" in counted(tmp_path).hidden


@pytest.mark.skipif(os.getuid() == 0, reason="root may open everything")
def test_what_is_closed_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert "only the agent may open" in counted(tmp_path).hidden


def test_it_can_be_given_up(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    walk = Walk(str(tmp_path), MUCH)
    walk.close()
    walk.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)
