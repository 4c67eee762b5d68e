"""Where C{clove deploy bundle} puts its archive."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clove.cli.main import main
from clove.deploy import bundle
from tests.integration.cli.subjects import small_bundle


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "make_bundle", small_bundle)


def test_a_directory_that_is_not_there_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "bundles"
    made = CliRunner().invoke(main, ["deploy", "bundle", str(directory)])
    assert made.exit_code == 0, made.output
    assert Path(made.stdout.strip()).parent == directory
    assert Path(made.stdout.strip()).is_file()


def test_one_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = CliRunner().invoke(main, ["deploy", "bundle", str(tmp_path / "file" / "new")])
    assert refused.exit_code == 1
    assert "cannot make the directory" in refused.stderr
    assert refused.stderr.count("\n") == 1
