"""`clove run --profile`, `clove profile`, and labels."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_shell import Shell


@pytest.fixture
def shell(kernel: Any, tmp_path: Path) -> Shell:
    place = tmp_path.resolve() / "project"
    place.mkdir()
    place.chmod(0o755)
    return Shell(place, kernel.socket)


def test_a_profile_is_where_options_begin(shell: Shell, kernel: Any, tmp_path: Path) -> None:
    shell.file("secret.txt", "secret")
    shell.file("p.toml", 'dir = ["."]\ndeny = ["./secret.txt"]\nenv = ["A=profile", "B=profile"]\n')
    words = ["--profile", "./p.toml", "-e", "B=line", "--label", "team=red", "--", "sh", "-c"]
    line = "pwd; echo $A $B; cat secret.txt 2>/dev/null || echo closed; touch made"
    assert shell.out(*words, line) == f"{shell.place}\nprofile line\nclosed\n"
    assert (shell.place / "made").exists()
    result = shell("run", "--profile", "codng", "--", "true")
    assert (result.returncode, "did you mean coding?" in result.stderr) == (1, True)


@pytest.mark.parametrize("name", ["coding", "data", "web", "browser", "untrusted"])
def test_shipped_profiles_start_on_this_host(shell: Shell, kernel: Any, name: str) -> None:
    assert shell.out("--profile", name, "--label", "p", "--", "echo", "up") == "up\n"


def test_the_profile_for_coding_says_that_it_is_a_sandbox(shell: Shell) -> None:
    assert shell.out("--profile", "coding", "--", "printenv", "IS_SANDBOX") == "1\n"


def test_labels_are_shown(shell: Shell) -> None:
    shell("run", "-d", "--name", "labelled", "--label", "team=red", "--", "sleep", "100")
    listed = [json.loads(line) for line in shell("ps", "--json").stdout.splitlines()]
    found = next(one for one in listed if one["name"] == "labelled")
    shell("kill", "labelled")
    assert found["labels"] == {"team": "red"}
    result = shell("run", "--label", "a b=c", "--", "true")
    assert (result.returncode, "is no label" in result.stderr) == (1, True)


def test_profiles_are_listed_shown_and_checked(shell: Shell, tmp_path: Path) -> None:
    place = tmp_path / "config/clove/profiles"
    place.mkdir(parents=True)
    (place / "bad.toml").write_text('level = "readonly"\nallow-exec = ["ls"]\n')
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    listed = shell("profile", "list", **config).stdout
    assert "coding " in listed
    assert "bad          cannot be used" in listed
    assert "level = " in shell("profile", "show", "untrusted", **config).stdout
    assert shell("profile", "check", "coding", **config).returncode == 0
    result = shell("profile", "check", "coding", "bad", **config)
    assert (result.returncode, "starts no programs" in result.stderr) == (1, True)
    result = shell("profile", "chek", "bad")
    assert result.returncode == 2


def test_a_secret_is_in_the_program_and_nowhere_else(shell: Shell, kernel: Any) -> None:
    shell.file("key", "hush-hush\n")
    words = ("--secret", "KEY=@key", "--", "sh", "-c")
    line = "echo ${#KEY}; sleep 100"
    result = shell("run", "-d", "--name", "holder", *words, line)
    assert result.returncode == 0, result
    seen = [
        shell(*words).stdout
        for words in (
            ("ps", "--json"),
            ("inspect", "--json", "holder"),
            ("audit", "--json"),
            ("inspect", "holder"),
        )
    ]
    assert "KEY" in seen[1]
    shell("kill", "holder")
    assert shell("logs", "holder").stdout == "9\n"
    files = Path(kernel.directory).rglob("*")
    state = [path for path in files if path.is_file() and os.access(path, os.R_OK)]
    kept = [path for path in state if b"hush-hush" in path.read_bytes() and path.name != "key"]
    assert not kept
    assert not [one for one in seen if "hush-hush" in one]
    result = shell("run", "--secret", "KEY=hush", "--", "true")
    assert (result.returncode, "hush" in result.stderr) == (2, False)
