"""Finding an interpreter in a view, with exchanges at the worst moments. Real files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied
from clove.kernel.launch.interpreter_search import Sender, find_interpreter
from clove.kernel.mounts import mount_planner
from clove.kernel.mounts.interpreter import Interpreter, home_of, own_interpreter
from clove.kernel.mounts.mount_planner import MountPlanner
from clove.kernel.mounts.pinned_paths import PinnedPaths
from clove.kernel.state_dir import StateDir
from clove.sandbox.inside import mounts
from clove.sandbox.spec import Bind, OnHost, on_host
from tests.unit.launch.searched_view import Threads, View


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path.resolve() / "agents" / "7"
    for name in ("venv/bin", "venv/lib/python3.99", "other/bin", "other/lib/python3.99"):
        (home / name).mkdir(parents=True)
    for name in ("venv", "other"):
        (home / name / "bin" / "python").write_text("a program")
        (home / name / "pyvenv.cfg").write_text("version = 3\nHome = /usr/bin\n")
    (tmp_path / "secret" / "lib").mkdir(parents=True)
    return home


@pytest.fixture
def view(home: Path) -> View:
    return View(home)


def found(view: View, asked: str = "/workspace/venv/bin/python", **sender: Any) -> Interpreter:
    results: list[Any] = []
    Deferred.fromCoroutine(
        find_interpreter(view, Sender(**{"sandboxed": True, **sender}), Threads(), asked)
    ).addBoth(results.append)
    [result] = results
    if isinstance(result, Interpreter):
        return result
    result.raiseException()
    raise AssertionError


def exchange(one: Path, other: Path) -> None:
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)


def test_the_parts_of_an_environment_are_named_as_the_view_has_them(view: View, home: Path) -> None:
    python = found(view)
    assert python.program == "/workspace/venv/bin/python"
    parts = {part.target: part.source for part in python.parts}
    assert parts == {
        f"/workspace/venv/{name}": f"{home}/venv/{name}" for name in ("pyvenv.cfg", "bin", "lib")
    }
    assert python.binds == ()


def test_the_kernels_own_needs_no_view() -> None:
    nowhere: Any = None
    assert found(nowhere, own_interpreter().program) is own_interpreter()


def test_a_sandboxed_sender_names_only_what_is_called_python(view: View, home: Path) -> None:
    program = home / "venv" / "bin" / "python"
    program.unlink()
    program.symlink_to("/usr/bin/env")
    with pytest.raises(InvalidRequest, match="not a Python interpreter"):
        found(view)


def test_who_may_not_run_its_own_programs_names_none(view: View) -> None:
    with pytest.raises(PermissionDenied, match="can write that program"):
        found(view, own_programs=False)


def test_what_its_sender_may_not_read_is_refused(view: View) -> None:
    def check(path: str) -> None:
        raise PermissionDenied(path)

    with pytest.raises(PermissionDenied):
        found(view, check=check)


def test_an_installation_has_its_library_beside_it(view: View, home: Path) -> None:
    (home / "venv" / "pyvenv.cfg").unlink()
    assert {part.target.rpartition("/")[2] for part in found(view).parts} == {"bin", "lib"}
    (home / "venv" / "lib" / "python3.99").rename(home / "venv" / "lib" / "perl")
    with pytest.raises(InvalidRequest, match="Python installation"):
        found(view)


@pytest.mark.parametrize("name", ["bin", "lib", "pyvenv.cfg", ""])
@pytest.mark.parametrize("moment", range(8))
def test_an_exchange_for_a_link_while_it_is_found_shows_nothing_else(
    view: View, home: Path, tmp_path: Path, name: str, moment: int
) -> None:
    """At each look-up in turn: what comes out is what lies there without links, or a refusal."""
    left = [moment]

    def before(path: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            place = home / "venv" / name
            place.rename(tmp_path / "moved")
            place.symlink_to(tmp_path / "secret")

    view.before = before
    try:
        python = found(view)
    except CloveError:
        return
    pinned = PinnedPaths()
    try:
        pinned.pin(python.parts, as_found=True)
        trees = [os.stat(bind.source, follow_symlinks=False).st_ino for bind in pinned.binds]
        assert (tmp_path / "secret").stat().st_ino not in trees
        assert all("secret" not in os.path.realpath(bind.source) for bind in pinned.binds)
    except InvalidRequest:
        pass
    finally:
        pinned.close()


@pytest.mark.parametrize("name", ["bin", "lib"])
def test_another_directory_since_it_was_found_is_refused(view: View, home: Path, name: str) -> None:
    python = found(view)
    exchange(home / "venv" / name, home / "other" / name)
    pinned = PinnedPaths()
    try:
        with pytest.raises(InvalidRequest, match="exchanged"):
            pinned.pin(python.parts, as_found=True)
        pinned.pin(python.parts, as_found=False)  # a restart takes what is there now
    finally:
        pinned.close()


@pytest.mark.parametrize("what", ["another", "link", "nothing", "file"])
def test_what_is_exchanged_before_the_mount_is_not_mounted(
    view: View, home: Path, tmp_path: Path, what: str
) -> None:
    pinned = PinnedPaths()
    try:
        pinned.pin(found(view).parts, as_found=True)
        [library] = [bind for bind in pinned.binds if bind.target.endswith("/lib")]
        place = home / "venv" / "lib"
        place.rename(tmp_path / "moved")
        if what == "another":
            (home / "other" / "lib").rename(place)
        elif what == "link":
            place.symlink_to(tmp_path / "moved")
        elif what == "file":
            place.touch()
        with pytest.raises(OSError, match=r"Stale|levels of symbolic|No such file"):
            mounts.copy(library.source, 0, library.identity)
    finally:
        pinned.close()


def test_what_is_gone_at_a_restart_refuses_it(view: View, home: Path) -> None:
    parts = found(view).parts
    shutil.rmtree(home / "venv")
    pinned = PinnedPaths()
    with pytest.raises(InvalidRequest, match="which the agent's interpreter needs"):
        pinned.pin(parts, as_found=False)
    pinned.close()


def test_nothing_is_left_open(view: View, home: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    pinned = PinnedPaths()
    pinned.pin(found(view).parts, as_found=True)
    pinned.close()
    (home / "venv" / "bin" / "python").unlink()
    with pytest.raises(NotFound):
        found(view)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/workspace/a", OnHost("/state/7/a", True)),
        ("/workspace", OnHost("/state/7", True)),
        ("/workspaces", None),
        ("/workspace/../etc", None),
        ("/workspace//a", None),
        ("workspace", None),
        ("/tmp/x", None),
        ("/workspace/hidden/x", OnHost("/blank/x", False)),
        ("/usr/bin", OnHost("/usr/bin", False)),
    ],
)
def test_a_path_inside_is_told_by_the_last_mount_on_its_way(path: str, place: Any) -> None:
    binds = (
        Bind("/usr", "/usr"),
        Bind("/state/7", "/workspace", writable=True),
        Bind("/blank", "/workspace/hidden"),
    )
    assert on_host(binds, path) == place


def test_home_is_read_as_python_does() -> None:
    assert home_of(b"a = b\nHOME =  /x/bin \nhome = /y") == "/x/bin"
    assert home_of(b"\xff\xfe") is None


def test_what_runs_on_the_host_needs_no_usual_place(view: View, home: Path) -> None:
    odd = home / "odd" / "place"
    odd.mkdir(parents=True)
    (odd / "wrapper").write_text("#!/bin/sh\n")
    results: list[Any] = []
    finding = find_interpreter(
        view, Sender(), Threads(), "/workspace/odd/place/wrapper", mounted=False
    )
    Deferred.fromCoroutine(finding).addBoth(results.append)
    assert (results[0].program, results[0].parts) == ("/workspace/odd/place/wrapper", ())


def test_a_state_directory_that_every_agent_would_see_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (Bind(f"{tmp_path}/lib", "/x/lib"),)
    monkeypatch.setattr(mount_planner, "own_parts", lambda: own)

    def planner(state_dir: str) -> MountPlanner:
        return MountPlanner(StateDir(state_dir), "/clove", (), mounts=9, entries=9)

    planner(f"{tmp_path}/library")
    for name in ("lib", "lib/state"):
        with pytest.raises(InvalidRequest, match="which every agent sees"):
            planner(f"{tmp_path}/{name}")
