"""LISTDIR, STAT, MKDIR, MOVE and REMOVE: of the operator's files, an agent's own, and an agent's for the operator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.errors import (
    AlreadyExists,
    CloveError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from tests.integration.conftest import BOTH, SLEEP, until_up
from tests.waiting import until

INSIDE = """
import os, sys
from clove import CloveClient
client = CloveClient(sys.argv[1])
client.make_directory("a/b/c", parents=True)
client.write_file("a/b/note", "text")
os.symlink("b/note", "a/link")
os.mkfifo("a/fifo")
print([(e["name"], e["kind"], e["size"]) for e in client.list_directory("a")["entries"]
       if e["kind"] != "directory"])
print(client.stat_file("a/link")["kind"], client.stat_file("a/link", follow=False)["target"])
client.move_file("a/b/note", "a/moved")
print(os.path.exists("a/b/note"), open("a/moved").read())
print(client.remove_file("a", recursive=True)["removed"], os.path.exists("a"))
print("up", flush=True)
"""


@BOTH
def test_an_agent_works_on_its_own_files(
    client: CloveClient, script: Any, sandboxed: bool, tmp_path: Path
) -> None:
    cwd = None if sandboxed else str(tmp_path)
    client.spawn("worker", script(INSIDE), sandboxed=sandboxed, cwd=cwd)
    client.wait("worker")
    assert [line["text"] for line in client.logs("worker")["lines"]] == [
        "[('fifo', 'fifo', 0), ('link', 'link', 6)]",
        "file b/note",
        "False text",
        "6 False",
        "up",
    ]


def test_the_operator_works_on_the_host(client: CloveClient, tmp_path: Path) -> None:
    root = str(tmp_path)
    assert client.make_directory(f"{root}/x/y", parents=True)["created"] == 2
    assert client.make_directory(f"{root}/x/y", parents=True)["created"] == 0
    with pytest.raises(AlreadyExists):
        client.make_directory(f"{root}/x/y")
    with pytest.raises(InvalidRequest) as caught:
        client.remove_file(f"{root}/x")
    assert "recursive" in caught.value.hint
    client.write_file(f"{root}/one", "1")
    client.write_file(f"{root}/two", "2")
    with pytest.raises(AlreadyExists):
        client.move_file(f"{root}/one", f"{root}/two")
    client.move_file(f"{root}/one", f"{root}/two", overwrite=True)
    assert client.read_file(f"{root}/two")["content"] == "1"
    assert client.stat_file(f"{root}/one")["exists"] is False
    assert client.remove_file(f"{root}/x", recursive=True)["removed"] == 2
    with pytest.raises(NotFound):
        client.remove_file(f"{root}/x")
    assert client.remove_file(f"{root}/x", missing_ok=True)["removed"] == 0
    assert [one["name"] for one in client.list_directory(root)["entries"]] == ["two"]


@pytest.mark.parametrize("path", ["/", ".", "..", "{root}/..", "{root}/.", ""])
def test_what_ends_in_no_name_is_not_changed(
    client: CloveClient, tmp_path: Path, path: str
) -> None:
    path = path.format(root=tmp_path)
    for ask in (
        lambda: client.remove_file(path, recursive=True),
        lambda: client.move_file(path, f"{tmp_path}/there"),
        lambda: client.make_directory(path),
    ):
        with pytest.raises(InvalidRequest):
            ask()


def test_a_large_directory_comes_in_pages(client: CloveClient, tmp_path: Path) -> None:
    names = [f"f{number:04}" for number in range(250)]
    for name in names:
        (tmp_path / name).touch()
    seen: list[str] = []
    after: str | None = None
    while True:
        page = client.list_directory(str(tmp_path), after=after, limit=100)
        seen += [one["name"] for one in page["entries"]]
        after = page["next"]
        if not page["more"]:
            break
    assert seen == names


def test_names_that_are_hard_to_write_are_listed(client: CloveClient, tmp_path: Path) -> None:
    for name in (b"new\nline", b"\x1b[2J", b"\xff\xfe", "ü".encode()):
        os.close(os.open(os.path.join(os.fsencode(tmp_path), name), os.O_CREAT))
    entries = client.list_directory(str(tmp_path))["entries"]
    assert {one["name"]: one["escaped"] for one in entries} == {
        "\x1b[2J": False,
        "\\xff\\xfe": True,
        "new\nline": False,
        "ü": False,
    }
    assert client.remove_file(f"{tmp_path}/new\nline")["removed"] == 1
    assert client.remove_file(str(tmp_path), recursive=True)["removed"] == 4


DEEP = """
import os, sys
from clove import CloveClient
here = os.open(".", os.O_RDONLY)
for _ in range(1000):
    os.mkdir("d", dir_fd=here)
    here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
    os.close(above)
client = CloveClient(sys.argv[1])
print(client.remove_file("d", recursive=True)["removed"], os.listdir("."))
"""


@BOTH
def test_directories_within_each_other_are_removed_however_deep(
    client: CloveClient, script: Any, sandboxed: bool, tmp_path: Path
) -> None:
    cwd = None if sandboxed else str(tmp_path)
    client.spawn("deep", script(DEEP), sandboxed=sandboxed, cwd=cwd)
    client.wait("deep", timeout=60)
    assert [line["text"] for line in client.logs("deep")["lines"]] == ["1000 []"]


@BOTH
def test_the_operator_works_on_an_agents_files(
    client: CloveClient, script: Any, sandboxed: bool, tmp_path: Path
) -> None:
    cwd = None if sandboxed else str(tmp_path)
    agent = client.spawn("owner", script(SLEEP), sandboxed=sandboxed, cwd=cwd)
    until_up(client, "owner")
    client.make_directory("in", agent="owner")
    client.write_file("in/note", "text", agent=agent["id"])
    assert client.read_file("in/note", agent="owner")["content"] == "text"
    assert [one["name"] for one in client.list_directory("in", agent="owner")["entries"]] == [
        "note"
    ]
    client.move_file("in/note", "in/other", agent="owner")
    assert client.stat_file("in/other", agent="owner")["size"] == 4
    assert client.remove_file("in", recursive=True, agent="owner")["removed"] == 2
    client.kill("owner")
    with pytest.raises(NotFound, match="has ended"):
        client.list_directory(".", agent="owner")


def test_an_agent_between_two_starts_has_no_files(client: CloveClient, script: Any) -> None:
    client.spawn("crash", script("raise SystemExit(1)"), restart_policy="on-failure")
    until(lambda: client.list_agents()[0]["state"] == "restarting", "it waits for its restart")
    with pytest.raises(Unavailable, match="agent"):
        client.list_directory(".", agent="crash")


def test_a_sandboxed_agents_files_are_done_with_its_own_rights(
    client: CloveClient, script: Any, tmp_path: Path
) -> None:
    """The grant is for writing, but the directory is the operator's, and closed to others."""
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "kept").write_text("kept")
    client.spawn(
        "reader",
        script(SLEEP),
        permissions={"allowed_read_paths": [str(granted), f"{granted}/**", "/workspace/**"]},
        allow_degraded=True,
    )
    until_up(client, "reader")
    for ask in (
        lambda: client.remove_file(f"{granted}/kept", agent="reader"),
        lambda: client.make_directory(f"{granted}/new", agent="reader"),
        lambda: client.move_file(f"{granted}/kept", f"{granted}/moved", agent="reader"),
        lambda: client.remove_file("/usr/bin/env", agent="reader"),
        lambda: client.remove_file("/etc", recursive=True, agent="reader"),
    ):
        with pytest.raises(CloveError):
            ask()
    assert os.listdir(granted) == ["kept"]


OTHERS = """
import sys
from clove import CloveClient
from clove.errors import CloveError
client = CloveClient(sys.argv[1])
for ask in (client.list_directory, client.stat_file, client.read_file, client.remove_file,
            client.make_directory):
    try:
        ask("/workspace", agent="victim")
        print("done")
    except CloveError as error:
        print(error.code, error.rule)
"""


def test_no_agent_names_another_ones_files(client: CloveClient, script: Any) -> None:
    client.spawn("victim", script(SLEEP))
    client.spawn("curious", script(OTHERS))
    client.wait("curious")
    lines = [line["text"] for line in client.logs("curious")["lines"]]
    assert lines == ["permission_denied operator"] * 5


def test_a_level_without_write_changes_nothing(client: CloveClient, script: Any) -> None:
    path = script(
        "import sys\nfrom clove import CloveClient\nfrom clove.errors import CloveError\n"
        "client = CloveClient(sys.argv[1])\n"
        "for ask in (client.make_directory, client.remove_file, lambda p: client.move_file(p, p)):\n"
        "    try: ask('x')\n"
        "    except CloveError as error: print(error.rule)\n"
        "print(client.list_directory('.')['success'])\n"
    )
    client.spawn("readonly", path, permissions="readonly")
    client.wait("readonly")
    lines = [line["text"] for line in client.logs("readonly")["lines"]]
    assert lines == ["level: readonly"] * 3 + ["True"]


def test_denied_names_are_hidden_and_cannot_be_moved(client: CloveClient, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("x")
    (tmp_path / "secret").write_text("x")
    with CloveClient(client.socket_path) as narrowed:
        narrowed.set_permissions({"blocked_paths": [f"{tmp_path}/secret"]})
        page = narrowed.list_directory(str(tmp_path))
        assert [one["name"] for one in page["entries"]] == ["open"]
        assert page["hidden"] == 1
        with pytest.raises(PermissionDenied):
            narrowed.move_file(f"{tmp_path}/secret", f"{tmp_path}/free")
        with pytest.raises(PermissionDenied) as caught:
            narrowed.move_file(str(tmp_path), f"{tmp_path}-elsewhere")
        assert caught.value.rule == "directory-rules"
        with pytest.raises(PermissionDenied) as caught:
            narrowed.remove_file(str(tmp_path), recursive=True)
        assert caught.value.rule == "directory-rules"
        narrowed.move_file(f"{tmp_path}/open", f"{tmp_path}/renamed")
    assert sorted(os.listdir(tmp_path)) == ["renamed", "secret"]
