"""`make venv` takes what the locks say, whatever the index offers and whichever pip there is."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.install.conftest import Tree


def newest() -> str | None:
    """The newest Python of this machine (pyenv's included) that is newer than the running one."""
    found: dict[tuple[int, int], str | None] = {sys.version_info[:2]: None}
    places = [f"python3.{minor}" for minor in range(11, 15)]
    places += glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3"))
    for place in places:
        program = shutil.which(place)
        question = [program or "", "-c", "import sys, venv; print(*sys.version_info[:2])"]
        said = program and subprocess.run(question, capture_output=True, text=True, check=False)
        if program and said and said.returncode == 0:
            major, minor = said.stdout.split()
            found.setdefault((int(major), int(minor)), program)
    return found[max(found)]


def locked(tree: Tree) -> dict[str, str]:
    text = (tree.place / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", text, re.MULTILINE))


def installed(tree: Tree) -> dict[str, str]:
    listed = json.loads(tree.pip("list", "--format=json").stdout.splitlines()[-1])
    return {
        re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"] for package in listed
    }


def assert_as_locked(tree: Tree, python: str) -> None:
    done = tree.run("tools/venv", "run", PYTHON=python)
    assert done.returncode == 0, done.stdout
    have = installed(tree)
    del have["pip"], have["clove"]
    assert have == locked(tree)


def assert_demo_runs(tree: Tree) -> None:
    done = tree.run(str(tree.place / ".venv/bin/python"), "examples/research_team/demo.py")
    assert done.returncode == 0, done.stdout
    assert "has the report" in done.stdout


def test_newer_releases_on_the_index_change_nothing(tree: Tree) -> None:
    assert_as_locked(tree, sys.executable)


def test_the_newest_python_of_this_machine_takes_the_same_and_runs_the_demo(tree: Tree) -> None:
    python = newest()
    if python is None:
        pytest.skip("no Python newer than the running one is installed here")
    assert_as_locked(tree, python)
    assert_demo_runs(tree)


def test_the_pip_of_debian_12_takes_the_locked_releases(tree: Tree, old_pip: str) -> None:
    assert_as_locked(tree, old_pip)
    assert "pip 23.0.1 " in tree.pip("--version").stdout
    assert_demo_runs(tree)


def test_this_index_stops_the_pip_of_debian_12_when_it_may_resolve(
    tree: Tree, old_pip: str
) -> None:
    """What the test above guards against does happen without --no-deps."""
    made = tree.run(old_pip, "-m", "venv", str(tree.place / ".venv"))
    assert made.returncode == 0, made.stdout
    done = tree.pip("install", "--dry-run", "--require-hashes", "-r", "requirements.lock")
    assert done.returncode != 0
    assert "must have their versions pinned with ==" in done.stdout


def test_a_lock_that_is_not_whole_is_an_error_with_words(tree: Tree) -> None:
    lock = tree.place / "requirements.lock"
    backend = re.search(r"(?m)^setuptools==.*\n(?:[ ].*\n)+", lock.read_text())
    assert backend
    lock.write_text(backend[0])
    for _ in range(2):  # what is left after the first is not taken for whole
        done = tree.run("tools/venv", "run")
        assert done.returncode == 1
        assert "requires twisted, which is not installed" in done.stdout
        assert "requirements.lock lacks what its own packages require" in done.stdout
        assert "CLOVE_UNLOCKED=1" in done.stdout
