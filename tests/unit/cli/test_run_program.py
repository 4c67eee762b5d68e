"""What `clove run` starts, and what comes along."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from clove.cli.option_types import DirectoryGrant
from clove.cli.run_program import Caller, find_program
from clove.cli.run_words import MODULE, PROGRAM, SCRIPT, RunWords
from clove.errors import CloveError, InvalidRequest, NotFound


@pytest.fixture
def here(tmp_path: Path) -> Path:
    place = tmp_path.resolve() / "project"
    place.mkdir()
    return place


def caller(place: Path, **more: Any) -> Caller:
    environ = {"HOME": "/home/somebody", "PATH": "/usr/bin:/bin", **more.pop("environ", {})}
    return Caller(cwd=str(place), environ=environ, **more)


def script(target: str, *args: str) -> RunWords:
    return RunWords((), SCRIPT, target, args)


def environment(place: Path) -> Path:
    """A virtual environment, as far as it is looked at."""
    (place / "v/bin").mkdir(parents=True)
    (place / "v/pyvenv.cfg").write_text("")
    (place / "v/bin/python").write_text("")
    (place / "v/bin/python").chmod(0o755)
    return place / "v"


def test_a_script_brings_its_directory_and_its_arguments(here: Path) -> None:
    (here / "a.py").write_text("")
    found = find_program(script("a.py", "--topic", "bees"), caller(here))
    assert found.command == (sys.executable, f"{here}/a.py", "--topic", "bees")
    assert (found.neighbours, found.stem, found.env) == (str(here), "a", {})


def test_a_path_through_links_leads_to_where_the_script_is(here: Path) -> None:
    (here / "a.py").write_text("")
    (here.parent / "link").symlink_to(here)
    (here.parent / "b.py").symlink_to("project/a.py")
    for target in ("link/a.py", "b.py"):
        found = find_program(script(target), caller(here.parent))
        assert (found.command[1], found.neighbours) == (f"{here}/a.py", str(here))


def test_a_home_does_not_come_along_nor_what_has_homes_in_it(here: Path) -> None:
    (here / "a.py").write_text("")
    for home in (here, here / "below"):
        found = find_program(script("a.py"), caller(here, environ={"HOME": str(home)}))
        assert (found.neighbours, found.script) == ("", f"{here}/a.py")
        assert "more than a project" in found.left_out


def test_what_is_granted_needs_not_come_along(here: Path) -> None:
    (here / "a.py").write_text("")
    grants = [DirectoryGrant(str(here.parent), True)]
    found = find_program(script("a.py"), caller(here, grants=grants))
    assert (found.neighbours, found.left_out) == ("", "")


def test_without_a_sandbox_nothing_does(here: Path) -> None:
    (here / "a.py").write_text("")
    found = find_program(script("a.py"), caller(here, sandboxed=False))
    assert (found.neighbours, found.python) == ("", None)


def test_a_missing_script_is_told_with_the_near_name(here: Path) -> None:
    (here / "agent.py").write_text("")
    with pytest.raises(NotFound) as missing:
        find_program(script("agnt.py"), caller(here))
    assert missing.value.hint == "did you mean agent.py?"


@pytest.mark.parametrize("text", ["#!/bin/sh\n", "\x7fELF"])
def test_what_is_no_python_is_told_how_to_run(here: Path, text: str) -> None:
    (here / "tool").write_text(text)
    with pytest.raises(InvalidRequest) as refused:
        find_program(script("./tool"), caller(here))
    assert refused.value.hint.endswith("-- ./tool")
    (here / "tool").write_text("#!/usr/bin/env python3\n")
    assert find_program(script("./tool"), caller(here)).stem == "tool"


def test_a_directory_is_run_as_python_does_and_a_package_as_a_module(here: Path) -> None:
    (here / "app").mkdir()
    with pytest.raises(NotFound, match="without __main__"):
        find_program(script("app"), caller(here))
    (here / "app/__main__.py").write_text("")
    found = find_program(script("app/", "x"), caller(here))
    assert found.command == (sys.executable, f"{here}/app", "x")
    assert (found.neighbours, found.stem) == (f"{here}/app", "app")
    (here / "app/__init__.py").write_text("")
    found = find_program(script("app", "x"), caller(here))
    assert found.command == (sys.executable, "-m", "app", "x")
    assert found.env == {"PYTHONPATH": str(here)}


def test_a_module_is_from_here_or_installed(here: Path) -> None:
    words = RunWords((), MODULE, "pkg.main", ("-v",))
    found = find_program(words, caller(here))
    assert (found.neighbours, found.env, found.stem) == ("", {}, "main")
    (here / "pkg").mkdir()
    found = find_program(words, caller(here))
    assert (found.neighbours, found.env) == (str(here), {"PYTHONPATH": str(here)})
    assert found.command == (sys.executable, "-m", "pkg.main", "-v")


def test_the_active_environment_comes_along(here: Path) -> None:
    (here / "a.py").write_text("")
    where = environment(here)
    inside = {"PATH": f"{where}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": str(where)}
    named = caller(here, environ={"VIRTUAL_ENV": str(where)})
    for one in (named, caller(here, python="v"), caller(here, python=f"{where}/bin/python")):
        found = find_program(script("a.py"), one)
        assert found.command[0] == found.python == f"{where}/bin/python"
        assert found.env == inside
    found = find_program(RunWords((), PROGRAM, "pytest"), named)
    assert (found.command, found.python) == (("pytest",), f"{where}/bin/python")
    assert found.env == inside


def test_ours_is_known_by_its_own_name(here: Path) -> None:
    """So that the kernel, which has the same, can start it warm."""
    prefix = os.path.dirname(os.path.dirname(sys.executable))
    (here / "a.py").write_text("")
    found = find_program(script("a.py"), caller(here, environ={"VIRTUAL_ENV": prefix}))
    assert found.python == sys.executable


def test_an_interpreter_that_is_not_there_is_an_error(here: Path) -> None:
    for one in (
        caller(here, environ={"VIRTUAL_ENV": f"{here}/gone"}),
        caller(here, python="python0.1"),
        caller(here, python="./python"),
        caller(here, python="."),
    ):
        with pytest.raises(CloveError, match="python"):
            find_program(RunWords((), PROGRAM, "x"), one)


def test_a_program_is_what_it_is(here: Path) -> None:
    found = find_program(RunWords((), PROGRAM, "/bin/ls", ("-l",)), caller(here))
    assert (found.command, found.stem, found.python) == (("/bin/ls", "-l"), "ls", None)
