"""The kernel's directory and its agents' places."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.state_dir import StateDir, Workspace


def prepared(path: Path) -> StateDir:
    state = StateDir(str(path / "state"))
    state.prepare()
    return state


def test_directories_are_private(short_dir: str) -> None:
    state = prepared(Path(short_dir))
    for name in ("", "run", "agents", "logs"):
        assert os.stat(os.path.join(state.path, name)).st_mode & 0o777 == 0o700


def test_an_open_directory_of_ours_is_closed(short_dir: str) -> None:
    os.mkdir(f"{short_dir}/state")
    os.chmod(f"{short_dir}/state", 0o777)
    state = prepared(Path(short_dir))
    assert os.stat(state.path).st_mode & 0o777 == 0o700


def test_a_link_in_place_of_a_directory_is_refused(short_dir: str) -> None:
    os.mkdir(f"{short_dir}/elsewhere")
    os.symlink(f"{short_dir}/elsewhere", f"{short_dir}/state")
    with pytest.raises(Unavailable, match="not a directory"):
        prepared(Path(short_dir))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a foreign directory")
def test_a_foreign_directory_is_refused(short_dir: str) -> None:
    os.mkdir(f"{short_dir}/state")
    os.chown(f"{short_dir}/state", 12345, 12345)
    with pytest.raises(Unavailable, match="own user"):
        prepared(Path(short_dir))


def test_a_path_too_long_for_sockets_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="too long") as caught:
        StateDir("/tmp/" + "x" * 90).prepare()
    assert "--state-dir" in caught.value.hint


def test_what_a_dead_kernel_left_is_cleared_but_logs_stay(short_dir: str) -> None:
    state = prepared(Path(short_dir))
    Workspace.of_agent(state, 7, "a.py").create(b"x", None)
    Path(f"{state.logs}/a.log").write_text("kept")
    again = StateDir(state.path)
    again.prepare()
    assert os.listdir(f"{state.path}/agents") == []
    assert Path(f"{state.logs}/a.log").read_text() == "kept"


def test_a_workspace_holds_a_read_only_copy_of_the_script(short_dir: str) -> None:
    workspace = Workspace.of_agent(prepared(Path(short_dir)), 7, "a.py")
    workspace.create(b"print(1)\n", None)
    assert Path(workspace.script).read_bytes() == b"print(1)\n"
    assert os.stat(workspace.script).st_mode & 0o777 == 0o444
    assert os.stat(workspace.home).st_mode & 0o777 == 0o700
    workspace.remove()
    assert not os.path.lexists(workspace.root)
    workspace.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_under_a_root_kernel_the_agent_owns_its_workspace_and_nothing_else(short_dir: str) -> None:
    workspace = Workspace.of_agent(prepared(Path(short_dir)), 7, "a.py")
    workspace.create(b"", 0x70000007)
    assert os.stat(workspace.home).st_uid == 0x70000007
    assert os.stat(workspace.root).st_uid == 0
    assert os.stat(workspace.script).st_uid == 0


def test_removal_does_not_follow_links_that_an_agent_planted(short_dir: str) -> None:
    workspace = Workspace.of_agent(prepared(Path(short_dir)), 7, "a.py")
    workspace.create(b"", None)
    precious = Path(short_dir, "precious")
    precious.mkdir()
    (precious / "file").write_text("x")
    os.symlink(precious, os.path.join(workspace.home, "link"))
    workspace.remove()
    assert (precious / "file").read_text() == "x"
