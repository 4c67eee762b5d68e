"""Secrets of a unit: which there are, and who takes them when the configuration names no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.errors import InvalidRequest
from clove.kernel.llm.settings import LLMSettings, service_options
from clove.relay.config import load
from clove.systemd.credentials import DATABASE, JOIN, MODEL_KEY, credential_path


def test_a_credential_is_a_file_of_the_units_own_directory(tmp_path: Path) -> None:
    (tmp_path / JOIN).write_text("join-1")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credential_path(JOIN, environ) == str(tmp_path / JOIN)
    assert credential_path(DATABASE, environ) == ""
    assert credential_path(JOIN, {}) == ""
    assert credential_path(JOIN, {"CREDENTIALS_DIRECTORY": "relative"}) == ""


def test_the_relays_database_may_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / DATABASE
    secret.write_text("postgresql:///of-the-unit\n")
    secret.chmod(0o400)
    config = tmp_path / "relay.toml"
    config.write_text('[store]\npostgresql = "postgresql:///of-the-file"\n')
    assert load(None).store.postgresql == ""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load(None).store.postgresql == "postgresql:///of-the-unit"
    assert load(str(config)).store.postgresql == "postgresql:///of-the-file"
    secret.chmod(0o444)
    with pytest.raises(InvalidRequest, match="no database: all users can read"):
        load(None)


def test_the_models_key_may_be_one_and_wins_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / MODEL_KEY).write_text("key")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "GEMINI_API_KEY": "other"}
    made = service_options(LLMSettings(), environ)
    assert (made.provider, made.key, made.key_file) == ("gemini", "", str(tmp_path / MODEL_KEY))
    made = service_options(LLMSettings(key_file="/mine"), environ)
    assert made.key_file == "/mine"
