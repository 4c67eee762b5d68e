"""A machine for the installer, with a release that is made without pip."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.deploy.installer import releases
from clove.deploy.installer.bundle_directory import BundleDirectory
from tests.unit.deploy.installer.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))

    def fill(bundle: BundleDirectory, place: Path) -> None:
        (place / "bin").mkdir()
        (place / "bin/clove").write_text(bundle.release)

    monkeypatch.setattr(releases, "_fill", fill)
    return Machine(home)
