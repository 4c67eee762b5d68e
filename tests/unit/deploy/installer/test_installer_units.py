"""Units that a release has no more, and what another than a bundle has installed in the same place.

`make test-dist` does the same where systemd runs (tools/release/try_bundle.sh, try_package.sh).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clove.deploy.installer.main import main
from tests.unit.deploy.installer.machine import Machine

SYSTEMCTL = """#!/bin/sh
# Says no to a unit that it has no file of, as the real one does.
echo "$*" >> {calls}
[ "$2" = disable ] || exit 0
shift 3
for unit; do [ -e {units}/$unit ] || exit 1; done
"""


@pytest.fixture
def systemctl(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with what was asked of a systemd of the user."""
    runtime, programs = Path(os.environ["XDG_RUNTIME_DIR"]), machine.home.parent / "programs"
    (runtime / "systemd").mkdir(parents=True)
    programs.mkdir()
    calls = machine.home.parent / "calls"
    script = programs / "systemctl"
    script.write_text(SYSTEMCTL.format(calls=calls, units=machine.unit.parent))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (runtime / "systemd/private").touch()
    return calls


def test_a_unit_that_the_next_release_has_no_more_is_stopped_and_removed(
    machine: Machine, systemctl: Path
) -> None:
    extra = machine.unit.with_name("clove-extra.service")
    machine.install("0.1.0-aa", more=(extra.name,))
    assert extra.exists()
    systemctl.unlink()
    assert machine.install("0.2.0-bb") == 0
    assert systemctl.read_text().splitlines() == [
        "--user disable --now clove-extra.service",
        "--user daemon-reload",
    ]
    assert not extra.exists()
    assert machine.unit.exists()
    assert str(extra) not in (machine.prefix / "placed.json").read_text()


def test_going_back_takes_away_the_units_that_the_newer_release_has_brought(
    machine: Machine, systemctl: Path
) -> None:
    extra = machine.unit.with_name("clove-extra.service")
    machine.install("0.1.0-aa")
    machine.install("0.2.0-bb", more=(extra.name,))
    assert main(["--user", "--activate", "0.1.0-aa"]) == 0
    assert "--user disable --now clove-extra.service" in systemctl.read_text()
    assert not extra.exists()
    assert main(["--user", "--activate", "0.2.0-bb"]) == 0
    assert extra.exists()


def test_a_unit_that_was_changed_is_neither_stopped_nor_removed(
    machine: Machine, systemctl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = machine.unit.with_name("clove-extra.service")
    machine.install("0.1.0-aa", more=(extra.name,))
    extra.write_text("mine")
    assert machine.install("0.2.0-bb") == 0
    assert f"leave {extra}: it was changed" in capsys.readouterr().out
    assert "disable" not in systemctl.read_text()
    assert extra.read_text() == "mine"


def test_uninstalling_goes_on_where_it_was_killed(machine: Machine, systemctl: Path) -> None:
    machine.install("0.1.0-aa", more=("clove-extra.service",))
    machine.unit.unlink()
    assert main(["--user", "--uninstall"]) == 0
    assert "--user disable --now clove-extra.service" in systemctl.read_text()
    assert not machine.prefix.exists()


def packaged(machine: Machine) -> Path:
    """The link C{current} as the Debian package has it."""
    (machine.prefix / "0.1.0-pp/bin").mkdir(parents=True)
    current = machine.prefix / "current"
    current.unlink(missing_ok=True)
    current.symlink_to("0.1.0-pp")
    return current


def test_a_bundle_is_not_installed_over_a_package(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    current = packaged(machine)
    assert machine.install("0.2.0-bb") == 1
    said = capsys.readouterr().err
    assert f"{current} leads to 0.1.0-pp, which no bundle has installed" in said
    assert "dpkg" in said
    assert os.readlink(current) == "0.1.0-pp"
    assert machine.install("0.2.0-bb", "--prefix", str(machine.home / "else")) == 0


def test_what_a_package_has_installed_over_a_bundle_stays_when_that_is_uninstalled(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("0.2.0-bb")
    current = packaged(machine)
    assert main(["--user", "--activate", "0.2.0-bb"]) == 1
    assert main(["--user", "--uninstall"]) == 0
    assert f"leave {current}" in capsys.readouterr().out
    assert os.readlink(current) == "0.1.0-pp"
    assert sorted(path.name for path in machine.prefix.iterdir()) == ["0.1.0-pp", "current"]
    assert not machine.unit.exists()
