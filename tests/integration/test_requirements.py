"""`clove run --requirements` and `clove cache`: environments that are built once, in a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_user import User, make_wheel
from tests.integration.exposed import Host, kill_all
from tests.waiting import until

SHOW = "import first, sys; print(first.VALUE, sys.prefix)"


class Builder(User):
    """A user whose index is a directory of wheels."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        wheels = Path(host.directory("wheels"))
        wheels.chmod(0o755)
        for version in ("1", "2"):
            make_wheel(wheels, "first", version)
        self._environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        self.cache = self.home / ".cache/clove/environments"

    def required(self, name: str, text: str) -> tuple[str, str]:
        self.file(name, text)
        return "--requirements", name

    def listed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self("cache", "list", "--json").stdout.splitlines()]


@pytest.fixture(scope="module")
def builder(kernel_host: Host) -> Builder:
    found = Builder(kernel_host)
    probe = [found.python, "-c", "import venv, ensurepip"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip(f"{found.python} makes no virtual environments: apt-get install python3-venv")
    return found


@pytest.fixture
def user(kernel_host: Host, builder: Builder) -> Iterator[Builder]:
    yield builder
    kill_all(kernel_host.client)


def test_what_is_required_is_built_once_and_is_there_for_all(user: Builder) -> None:
    words = ("run", *user.required("one.txt", "first==1\n"))
    built = user(*words, "--", "python", "-c", SHOW)
    assert built.returncode == 0, built
    assert "built one.txt in " in built.stderr
    assert built.stdout.startswith(f"1 {user.cache}/")
    user.file("show.py", SHOW)
    user.required("same.txt", "first==1\n")
    for again in (("--", "python", "-c", SHOW), ("show.py",), ("--cold", "show.py")):
        found = user("run", "--requirements", "same.txt", *again)
        assert (found.returncode, found.stdout, found.stderr) == (0, built.stdout, "")
    user.file("write.py", "import sys; open(sys.prefix + '/lib/x', 'w')")
    assert "Read-only file system" in user(*words, "write.py").stderr
    assert "first" in user(*words, "-m", "pip", "list").stdout


def test_two_that_ask_at_once_get_one_build(user: Builder) -> None:
    words = ("run", *user.required("two.txt", "first==1\nfirst<5\n"), "--", "python", "-c", SHOW)
    with user.start(*words) as one, user.start(*words) as other:
        results = [each.communicate(timeout=120) for each in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], results
    assert results[0][0] == results[1][0]
    said = "".join(err for _, err in results)
    assert (said.count("clove: built"), said.count("waiting for it")) == (1, 1)


def test_an_error_of_pip_comes_through_and_leaves_nothing(user: Builder) -> None:
    words = ("run", *user.required("bad.txt", "first==7\n"), "--", "echo", "started")
    before = set(os.listdir(user.cache))
    result = user(*words)
    assert (result.returncode, result.stdout) == (1, "")
    assert "No matching distribution found for first==7" in result.stderr
    assert "bad.txt could not be installed: nothing was started" in result.stderr
    left = set(os.listdir(user.cache)) - before
    assert {Path(name).suffix for name in left} == {".lock", ".kernels"}
    json.loads(user(*words[:1], "--json", *words[1:]).stdout)
    for wrong, text in ((user.required("local.txt", "-e .\n"), "can change at any time"),):
        assert text in user("run", *wrong, "--", "true").stderr
    assert user("run", "--requirements", "none.txt", "--", "true").returncode == 1
    assert user("run", "--unsandboxed", *words[1:]).returncode == 2


def test_a_build_that_was_cut_short_is_never_used(user: Builder) -> None:
    words = ("run", *user.required("cut.txt", "first==2\nfirst>1\n"), "--", "python", "-c", SHOW)
    whole = {str(one["path"]) for one in user.listed()}

    def begun() -> set[str]:
        return {str(path) for path in user.cache.glob("*-*")} - whole

    with user.start(*words) as process:
        until(lambda: bool(begun()), "a build to begin")
        process.kill()
    [cut] = begun()
    result = user(*words)
    assert (result.returncode, result.stdout[:2]) == (0, "2 "), result
    assert not result.stdout.startswith(f"2 {cut}")
    assert user("cache", "prune").returncode == 0
    assert not os.path.exists(cut)
    assert len(user.listed()) == len(whole) + 1


def test_one_that_an_agent_is_in_stays(user: Builder) -> None:
    words = ("run", *user.required("used.txt", "first==1\n"))
    assert user(*words, "-d", "--name", "user", "--", "sleep", "1000").returncode == 0
    result = user("cache", "prune", "--all")
    assert (result.returncode, result.stderr.count("a running agent is in it")) == (0, 1)
    [kept] = user.listed()
    assert kept["requirements"] == [str(user.place / "one.txt")]
    user("kill", "user")
    assert user("cache", "prune", "--older-than", "1h").stdout == "freed 0\n"
    assert len(user.listed()) == 1
    table = user("cache", "list").stdout
    assert "one.txt" in table
    [removed] = user("cache", "prune", "--json", "--older-than", "0").stdout.splitlines()
    assert json.loads(removed)["removed"]
    assert user.listed() == []
    assert not list(user.cache.glob("*-*"))
