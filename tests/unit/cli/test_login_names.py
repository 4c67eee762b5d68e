"""What a login is called where no name was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clove.cli.main import main
from clove.client.fleet import DEFAULT_RELAY


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CLOVE_RELAY", "CLOVE_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_first_login_without_a_word_is_to_the_relay_of_this_host() -> None:
    asked = CliRunner().invoke(main, ["login"], input="")
    assert "no name of a context" not in asked.output
    assert "token" in asked.output


def test_an_empty_name_is_refused() -> None:
    refused = CliRunner().invoke(main, ["login", "--name", "", DEFAULT_RELAY])
    assert refused.exit_code == 1
    assert "no name of a context" in refused.output
