"""What is typed of a relay and is wrong, before any relay is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clove.cli.main import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home without a context."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in ("CONTEXT", "RELAY", "RELAY_CA_FILE", "MACHINE"):
        monkeypatch.delenv(f"CLOVE_{name}", raising=False)
    monkeypatch.setenv("CLOVE_RELAY_TOKEN", "clove_admin_x")
    return tmp_path


def clove(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), input="clove_admin_x\n")


@pytest.mark.parametrize("url", ["relay.example.org", "wss://relay.example.org"])
def test_an_address_that_is_none_of_a_relay_is_refused_with_one_that_is(
    home: Path, url: str
) -> None:
    result = clove("login", url)
    assert result.exit_code == 1
    assert "begins with https:// or http://" in result.stderr
    assert "clove login https://relay.example.org\n" in result.stderr
    assert not (home / ".clove").exists()


def test_an_agent_token_without_machines_is_told_the_options_that_name_them() -> None:
    result = clove("tokens", "create", "--kind", "agent")
    assert result.exit_code == 2
    assert "--machine or --label" in result.stderr


def test_without_a_token_the_first_thing_to_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOVE_RELAY_TOKEN")
    result = clove("status")
    assert result.exit_code == 1
    assert "clove relay up starts one here" in result.stderr


def test_a_relay_that_does_not_run_is_told_how_to_start_it() -> None:
    result = clove("status", "--relay", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "port 1: Connection refused - is it running (clove relay up" in result.stderr
