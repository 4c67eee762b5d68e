"""`clove run --workspace`, `--keep` and `--rm`, and `clove workspace`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_shell import Shell
from tests.waiting import until


@pytest.fixture
def shell(kernel: Any, tmp_path: Path) -> Shell:
    place = tmp_path.resolve() / "project"
    place.mkdir()
    return Shell(place, kernel.socket)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    """The user's directory of data."""
    return {"XDG_DATA_HOME": str(tmp_path.resolve() / "data")}


def test_what_is_made_in_a_workspace_is_there_the_next_time(
    shell: Shell, data: dict[str, str]
) -> None:
    words = ("--workspace", "web", "--", "sh", "-c")
    assert shell.out(*words, "echo made > file", **data) == ""
    assert shell.out(*words, "cat file; pwd", **data).splitlines() == [
        "made",
        f"{data['XDG_DATA_HOME']}/clove/workspaces/web",
    ]
    assert shell.out("--", "sh", "-c", "ls", **data) == ""


def test_workspaces_are_listed_found_and_removed(shell: Shell, data: dict[str, str]) -> None:
    assert shell("workspace", "list", **data).stdout == ""
    shell.out("--workspace", "web", "--", "true", **data)
    listed = json.loads(shell("workspace", "list", "--json", **data).stdout)
    assert listed["name"] == "web"
    assert shell("workspace", "path", "web", **data).stdout.strip() == listed["path"]
    result = shell("workspace", "rm", "wob", **data)
    assert (result.returncode, "did you mean web?" in result.stderr) == (1, True)
    assert shell("workspace", "rm", "web", **data).stdout == "removed web\n"
    assert not Path(listed["path"]).exists()
    result = shell("run", "--workspace", "../x", "--", "true", **data)
    assert (result.returncode, "no name" in result.stderr) == (1, True)


def test_what_is_kept_is_named(shell: Shell, data: dict[str, str]) -> None:
    shell.file("save.py", "open('result.txt', 'w').write('precious')")
    result = shell("run", "--keep", "save.py", **data)
    assert result.returncode == 0, result
    place = result.stderr.split("what it makes in ")[1].split(" stays")[0]
    assert Path(place, "result.txt").read_text() == "precious"
    assert shell("run", "--keep", "--workspace", "x", "save.py", **data).returncode == 2


def test_one_that_is_to_be_forgotten_is(shell: Shell) -> None:
    assert shell("run", "--rm", "--name", "gone", "--", "true").returncode == 0
    assert shell("run", "--name", "stays", "--", "true").returncode == 0
    ended = [json.loads(line) for line in shell("ps", "-a", "--json").stdout.splitlines()]
    names = [one["name"] for one in (ended[0] if isinstance(ended[0], list) else ended)]
    assert "gone" not in names
    assert "stays" in names


def test_one_that_is_left_alone_is_forgotten_at_its_end(shell: Shell) -> None:
    assert shell("run", "--name", "stays", "--", "true").returncode == 0
    program = ("--", "sh", "-c", "while [ ! -e go ]; do sleep 0.05; done")
    assert shell("run", "--rm", "-d", "--name", "left", *program).returncode == 0
    assert "left" in shell("ps", "-q").stdout.split()
    shell("exec", "left", "--", "touch", "go")
    until(lambda: "left" not in shell("ps", "-a", "-q").stdout.split(), "it is forgotten")
    missing = shell("logs", "left")
    assert (missing.returncode, "left" in missing.stderr) == (1, True)
