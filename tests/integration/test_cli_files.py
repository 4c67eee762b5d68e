"""`clove ls`, `cat`, `cp`, `rm` and `diff`, as processes, against a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.integration.commands import CLOVE, clove
from tests.integration.conftest import KernelProcess, until_up

__all__ = ["clove"]

FILES = (
    "import os, time\nos.makedirs('out/sub')\nopen('out/a', 'w').write('first')\n"
    "open('out/sub/b', 'wb').write(bytes(range(256)) * 40)\nos.symlink('/etc/passwd', 'out/link')\n"
    "os.mkfifo('out/fifo')\nos.mkdir('out/empty')\nopen('out/new\\nline', 'w').close()\n"
    "print('up', flush=True)\ntime.sleep(100)\n"
)
BINARY = bytes(range(256)) * 40


@pytest.fixture
def agent(client: CloveClient, script: Any) -> str:
    client.spawn("files", script(FILES))
    until_up(client, "files")
    return "files"


def test_ls_shows_names_and_kinds(clove: Any, agent: str) -> None:
    assert clove("ls", "files:out").stdout.splitlines() == [
        "a",
        "empty/",
        "fifo|",
        "link@",
        "new\\nline",
        "sub/",
    ]
    assert "out/" in clove("ls", "files").stdout
    line = clove("ls", "-l", "files:/workspace/out/a").stdout.splitlines()[1]
    assert line.startswith("-rw")
    entries = [json.loads(each) for each in clove("ls", "--json", "files:out").stdout.splitlines()]
    assert {one["name"]: one["kind"] for one in entries}["link"] == "link"
    result = clove("ls", "files:nowhere")
    assert result.returncode == 1
    assert "no such file" in result.stderr
    assert "did you mean files?" in clove("ls", "filse:out").stderr
    assert clove("ls", "/here").returncode == 2


def test_cat_gives_every_byte(kernel: KernelProcess, clove: Any, agent: str) -> None:
    command = [CLOVE, "--socket", kernel.socket, "cat", "files:out/a", "files:out/sub/b"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"first" + BINARY
    assert clove("cat", "files:out").returncode == 1


def test_a_directory_is_copied_without_links_and_fifos(
    clove: Any, agent: str, tmp_path: Path
) -> None:
    assert clove("cp", "files:out", str(tmp_path / "x")).returncode == 1
    result = clove("cp", "-r", "files:out", str(tmp_path / "copy"))
    assert result.returncode == 0, result.stderr
    copy = tmp_path / "copy"
    assert sorted(os.listdir(copy)) == ["a", "empty", "new\nline", "sub"]
    assert (copy / "a").read_text() == "first"
    assert (copy / "sub/b").read_bytes() == BINARY
    assert "left out out/link: a link" in result.stderr
    assert "left out out/fifo: a fifo" in result.stderr
    result = clove("cp", "--json", "files:out/a", str(tmp_path))
    assert json.loads(result.stdout) == {"files": 1, "bytes": 5, "left_out": 0}
    assert (tmp_path / "a").read_text() == "first"


def test_files_are_copied_to_an_agent(
    clove: Any, client: CloveClient, agent: str, tmp_path: Path
) -> None:
    source = tmp_path / "src"
    (source / "deep").mkdir(parents=True)
    large = os.urandom(1_500_000)
    (source / "deep/large").write_bytes(large)
    (source / "empty").touch()
    (source / "link").symlink_to("/etc/passwd")
    result = clove("cp", "-r", str(source), "files:")
    assert result.returncode == 0, result.stderr
    assert "left out link" in result.stderr
    assert client.stat_file("src/deep/large", agent="files")["size"] == len(large)
    assert client.stat_file("src/link", follow=False, agent="files")["exists"] is False
    back = tmp_path / "back"
    clove("cp", "files:src/deep/large", str(back))
    assert back.read_bytes() == large
    clove("cp", str(source / "empty"), "files:/workspace/renamed")
    assert client.stat_file("renamed", agent="files")["exists"] is True
    assert clove("cp", "a", "b").returncode == 2
    assert clove("cp", "files:a", "files:b").returncode == 2


def test_nothing_is_written_through_a_link_that_lies_here(
    clove: Any, agent: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (target / "a").symlink_to(kept)
    (target / "sub").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(target / "fifo")
    result = clove("cp", "-r", "files:out/a", str(target))
    assert result.returncode == 1
    result = clove("cp", "-r", "files:out/sub", str(target))
    assert result.returncode == 1
    assert kept.read_text() == "kept"
    assert os.listdir(tmp_path / "elsewhere") == []
    assert clove("cp", "files:out/a", str(target / "fifo")).returncode == 1


def test_a_copy_that_fails_half_way_leaves_no_half(
    kernel: KernelProcess, clove: Any, agent: str, tmp_path: Path
) -> None:
    result = clove("cp", "--max-size", "1K", "files:out/sub/b", str(tmp_path))
    assert result.returncode == 1
    assert "--max-size allows more" in result.stderr
    full = ["prlimit", "--fsize=5000", CLOVE, "--socket", kernel.socket, "cp"]
    done = subprocess.run(
        [*full, "files:out/sub/b", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "File too large" in done.stderr
    assert os.listdir(tmp_path) == []


def test_rm_removes_what_is_named(clove: Any, client: CloveClient, agent: str) -> None:
    assert clove("rm", "files:out").returncode == 1
    assert clove("rm", "files:out/a", "files:out/link").returncode == 0
    assert clove("rm", "files:out/a").returncode == 1
    assert clove("rm", "-f", "files:out/a").returncode == 0
    assert json.loads(clove("rm", "-r", "--json", "files:out").stdout)["removed"] == 6
    assert client.stat_file("out", agent="files")["exists"] is False
    assert clove("rm", "-r", "files").returncode == 2


def test_diff_shows_what_the_agent_made(clove: Any, agent: str) -> None:
    paths = [
        json.loads(line)["path"] for line in clove("diff", "--json", "files").stdout.splitlines()
    ]
    assert paths == [
        "/workspace/out/a",
        "/workspace/out/empty",
        "/workspace/out/fifo",
        "/workspace/out/link",
        "/workspace/out/new\nline",
        "/workspace/out/sub/b",
    ]
    lines = clove("diff", "files").stdout.splitlines()
    assert lines[0].split() == ["A", "5", "/workspace/out/a"]
    assert lines[1].split() == ["A", "directory", "/workspace/out/empty/"]
