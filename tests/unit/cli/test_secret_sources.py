"""Secrets: where they are said to be, and how they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.cli.option_types import Secret, parse_secret
from clove.cli.secret_sources import read_secret, secret_fields
from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied, Unavailable


def test_it_is_said_where_one_is_never_what_it_is() -> None:
    assert parse_secret("KEY") == Secret("KEY", "")
    assert parse_secret("KEY=@f") == Secret("KEY", "@f")
    assert parse_secret("KEY=!pass show x=y") == Secret("KEY", "!pass show x=y")
    for text in ("KEY=hush", "KEY=", "=hush", "KEY=@", "A B=@hush"):
        with pytest.raises(ValueError, match=r"NAME|where it is") as refused:
            parse_secret(text)
        assert "hush" not in str(refused.value)


def test_of_a_file_and_of_a_command_without_the_last_newline(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("hu sh\n")
    assert read_secret(Secret("KEY", f"@{path}")) == "hu sh"
    assert read_secret(Secret("KEY", f"!cat {path}; echo more")) == "hu sh\nmore"


def test_what_is_to_be_a_file_is_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("-----BEGIN-----\nhush\n")
    fields = secret_fields([Secret("KEY", f"@{path}")], [Secret("id", f"@{path}")])
    assert fields == {
        "KEY": {"value": "-----BEGIN-----\nhush"},
        "id": {"value": "-----BEGIN-----\nhush\n", "file": True},
    }
    assert secret_fields([], []) is None


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("!printf hush; exit 3", Unavailable),
        ("!printf 'hush\\000'", InvalidRequest),
        ("!printf 'hush\\377'", InvalidRequest),
        ("!true", InvalidRequest),
        ("!yes hush | head -c 70000", InvalidRequest),
        ("@/nowhere/hush", Unavailable),
    ],
)
def test_what_cannot_be_used_is_an_error_without_it(source: str, kind: type[CloveError]) -> None:
    with pytest.raises(kind) as refused:
        read_secret(Secret("KEY", source))
    assert "KEY" in refused.value.message
    assert "hush" not in refused.value.message.replace("/nowhere/hush", "")


def test_the_users_own_are_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # no keyring
    with pytest.raises(NotFound) as missing:
        read_secret(Secret("KEY", ""))
    assert "chmod 600" in missing.value.hint
    path = tmp_path / "clove/secrets/KEY"
    path.parent.mkdir(parents=True)
    path.write_text("mine\n")
    path.chmod(0o640)
    with pytest.raises(PermissionDenied, match="others may use"):
        read_secret(Secret("KEY", ""))
    path.chmod(0o600)
    assert read_secret(Secret("KEY", "")) == "mine"


def test_else_they_are_of_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "secret-tool"
    tool.write_text("#!/bin/sh\necho $*\n")
    tool.chmod(0o755)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert read_secret(Secret("KEY", "")) == "lookup service clove name KEY"
