"""`clove config`."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove.cli.fleet.config_edit import with_context
from clove.cli.fleet.config_file import read_config
from clove.cli.fleet.config_store import update_config
from clove.cli.main import main

SECRET = "clove_admin_hidden"
TEXT = f"""\
current: prod
contexts:
  prod:
    relay: https://relay.example.org:8766
    token: {SECRET}
  lab:
    relay: http://127.0.0.1:8766
    token_command: pass show lab
    machine: build-7
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file of contexts."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONTEXT", "RELAY", "RELAY_TOKEN", "RELAY_CA_FILE", "MACHINE"):
        monkeypatch.delenv(f"CLOVE_{name}", raising=False)
    path = tmp_path / ".clove" / "config.yaml"
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    path.write_text(TEXT)
    return path


def clove(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["config", *words])
    assert result.exit_code == status, result.output
    assert SECRET not in result.output
    return result


def test_contexts_are_listed_without_tokens() -> None:
    lines = clove("list").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "TOKEN", "MACHINE", "RELAY"],
        ["*", "prod", "token", "-", "https://relay.example.org:8766"],
        ["lab", "token_command", "build-7", "http://127.0.0.1:8766"],
    ]
    assert all(len(line) <= 80 for line in lines)
    found = [json.loads(line) for line in clove("list", "--json").stdout.splitlines()]
    assert [(each["name"], each["current"], each["token"]) for each in found] == [
        ("prod", True, "token"),
        ("lab", False, "token_command"),
    ]


def test_what_counts_is_shown_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clove("show").stdout.splitlines() == [
        "context: prod",
        "relay:   https://relay.example.org:8766",
        "hub:     wss://relay.example.org:8765",
        "ca_file: -",
        "machine: -",
        "token:   in ~/.clove/config.yaml",
    ]
    assert "token:   command pass show lab" in clove("show", "lab").stdout
    monkeypatch.setenv("CLOVE_RELAY_TOKEN", SECRET)
    monkeypatch.setenv("CLOVE_MACHINE", "m9")
    found = json.loads(clove("show", "--json").stdout)
    assert (found["token"], found["machine"]) == ("$CLOVE_RELAY_TOKEN", "m9")


def test_a_value_is_printed_but_no_token() -> None:
    assert clove("get", "machine", "--context", "lab").stdout == "build-7\n"
    assert "clove config set machine" in clove("get", "machine", status=1).stderr
    assert "a token is not shown" in clove("get", "token", status=1).stderr
    assert json.loads(clove("get", "machine", "--json").stdout)["value"] is None


def test_values_are_set_and_taken_away(file: Path) -> None:
    assert clove("set", "machine", "m1").stdout == "prod: machine is m1\n"
    assert file.read_text() == TEXT.replace(f"{SECRET}\n", f"{SECRET}\n    machine: m1\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert clove("set", "machine", "").stdout == "prod: no machine\n"
    assert file.read_text() == TEXT
    clove("set", "machine", "", "--context", "prod")
    assert [each.name for each in file.parent.iterdir()] == ["config.yaml"]


def test_where_the_token_is_takes_the_place_of_where_it_was(file: Path) -> None:
    clove("set", "token_file", "~/token")
    assert SECRET not in file.read_text()
    assert "    token_file: ~/token\n" in file.read_text()


def test_what_would_be_wrong_is_refused_and_nothing_is_changed(file: Path) -> None:
    assert "clove login" in clove("set", "token", "typed", status=1).stderr
    assert "did you mean token_file" in clove("set", "token-file", "x", status=2).stderr
    assert "begins with https://" in clove("set", "relay", "ftp://x", status=1).stderr
    assert "did you mean prod?" in clove("use", "prd", status=1).stderr
    assert "did you mean lab?" in clove("remove", "lb", status=1).stderr
    assert "did you mean lab?" in clove("set", "machine", "m", "--context", "lb", status=1).stderr
    assert file.read_text() == TEXT


def test_a_context_is_used_and_removed(file: Path) -> None:
    assert clove("use", "lab").stdout == "lab (http://127.0.0.1:8766) is the current context\n"
    assert file.read_text().startswith("current: lab\n")
    assert json.loads(clove("remove", "lab", "--json").stdout) == {"removed": "lab"}
    assert "clove config use NAME" in clove("get", "relay", status=1).stderr
    clove("remove", "prod")
    assert "clove login URL" in clove("list").stderr


def test_a_file_that_others_may_read_is_refused_by_each_command(file: Path) -> None:
    file.chmod(0o644)
    for words in (["list"], ["show"], ["get", "relay"], ["use", "lab"], ["set", "machine", "x"]):
        result = clove(*words, status=1)
        assert f"chmod 600 {file}" in result.stderr
        assert result.stdout == ""
    error = json.loads(clove("list", "--json", status=1).stdout)
    assert (error["code"], error["rule"]) == ("permission_denied", "config-mode")


@pytest.mark.skipif("os.geteuid() == 0", reason="root writes everywhere")
def test_a_file_that_cannot_be_written_stays_as_it_was(file: Path) -> None:
    file.parent.chmod(0o500)
    try:
        assert "what was there is unchanged" in clove("use", "lab", status=1).stderr
    finally:
        file.parent.chmod(0o700)
    assert file.read_text() == TEXT


def test_a_link_to_the_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.yaml"
    file.rename(kept)
    file.symlink_to(kept)
    clove("use", "lab")
    assert file.is_symlink()
    assert kept.read_text().startswith("current: lab\n")


def test_commands_at_the_same_time_lose_nothing_of_each_other(file: Path) -> None:
    def add(number: int) -> None:
        values = {"relay": f"http://127.0.0.1:{number}"}
        update_config(lambda text: with_context(text, f"c{number}", values))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(1, 17)))
    assert set(read_config().contexts) == {"prod", "lab", *(f"c{each}" for each in range(1, 17))}
