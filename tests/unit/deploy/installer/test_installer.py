"""The installer's command, with a release that is made without pip (tests/install has the real one)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clove.deploy.installer import releases
from clove.deploy.installer.bundle_directory import BundleDirectory
from clove.deploy.installer.main import main
from clove.deploy.installer.systemd import users_without_state
from tests.unit.deploy.installer.machine import Machine

Install = Callable[..., int]


def test_it_installs_links_and_writes_the_units_of_a_user(machine: Machine) -> None:
    assert machine.install("0.1.0-aa") == 0
    assert os.readlink(machine.prefix / "current") == "0.1.0-aa"
    assert machine.command.read_text() == "0.1.0-aa"
    assert f"ExecStart={machine.prefix}/current/bin/twistd" in machine.unit.read_text()


def test_another_prefix_is_in_the_units(machine: Machine) -> None:
    assert machine.install("0.1.0-aa", "--prefix", str(machine.home / "else")) == 0
    assert f"ExecStart={machine.home}/else/current/bin/twistd" in machine.unit.read_text()


def test_uninstalling_removes_all_of_it_and_nothing_else(machine: Machine) -> None:
    (machine.home / ".local/bin").mkdir(parents=True)
    (machine.home / ".local/bin/other").touch()
    before = machine.entries()
    machine.install("0.1.0-aa")
    machine.install("0.2.0-bb")
    assert main(["--user", "--uninstall"]) == 0
    assert machine.entries() == before
    assert not machine.prefix.exists()
    assert main(["--user", "--uninstall"]) == 0  # there is nothing left to do


def test_an_upgrade_switches_the_link_and_goes_back(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("0.1.0-aa")
    machine.install("0.2.0-bb")
    assert machine.command.read_text() == "0.2.0-bb"
    capsys.readouterr()
    assert main(["--user", "--list"]) == 0
    assert capsys.readouterr().out == "0.1.0-aa\n0.2.0-bb (in use)\n"
    assert main(["--user", "--json", "--activate", "0.1.0-aa"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["release"], said["before"]) == ("0.1.0-aa", "0.2.0-bb")
    assert machine.command.read_text() == "0.1.0-aa"
    assert main(["--user", "--remove", "0.1.0-aa"]) == 1  # it is in use
    assert "is in use" in capsys.readouterr().err
    assert main(["--user", "--remove", "0.2.0-bb"]) == 0
    assert not (machine.prefix / "0.2.0-bb").exists()


def test_going_back_places_the_units_of_that_release(machine: Machine) -> None:
    machine.install("0.1.0-aa")
    first = machine.unit.read_text()
    machine.install("0.2.0-bb")
    assert machine.unit.read_text().startswith("# 0.2.0-bb\n")
    assert main(["--user", "--activate", "0.1.0-aa"]) == 0
    assert machine.unit.read_text() == first


def test_going_back_places_no_units_where_none_were_wanted(machine: Machine) -> None:
    machine.install("0.1.0-aa", "--no-units")
    machine.install("0.2.0-bb", "--no-units")
    assert main(["--user", "--activate", "0.1.0-aa"]) == 0
    assert not machine.unit.exists()


def test_a_release_that_is_not_there_is_an_error_that_names_those_that_are(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("0.1.0-aa")
    assert main(["--user", "--activate", "0.1.0-ab"]) == 1
    assert "hint: there are: 0.1.0-aa" in capsys.readouterr().err
    assert os.readlink(machine.prefix / "current") == "0.1.0-aa"


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.install("0.1.0-aa", "--dry-run") == 0
    said = capsys.readouterr().out
    assert f"make {machine.prefix}/0.1.0-aa" in said
    assert f"write {machine.unit}" in said
    assert not list(machine.home.iterdir())


def test_a_second_run_goes_on_where_a_first_was_killed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = releases._fill

    def killed(bundle: BundleDirectory, place: Path) -> None:
        real(bundle, place)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(releases, "_fill", killed)
        patch.setattr("shutil.rmtree", lambda path, ignore_errors=False: None)
        with pytest.raises(KeyboardInterrupt):
            machine.install("0.1.0-aa")
    assert (machine.prefix / "0.1.0-aa/bin/clove").exists()
    assert not (machine.prefix / "current").is_symlink()
    assert machine.install("0.1.0-aa") == 0
    assert machine.command.read_text() == "0.1.0-aa"


def test_what_a_killed_installation_left_is_uninstalled(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = machine.prefix / "0.1.0-aa"
    place.mkdir(parents=True)
    (place / releases.BEGUN).touch()
    (machine.prefix / "0.9-not-ours").mkdir()
    assert main(["--user", "--uninstall"]) == 0
    assert [path.name for path in machine.prefix.iterdir()] == ["0.9-not-ours"]


def test_a_release_that_was_half_removed_is_uninstalled(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.install("0.1.0-aa")
    (machine.prefix / "0.1.0-aa/busy").mkdir()
    real = shutil.rmtree

    def busy(path: Path) -> None:
        for each in path.iterdir():
            if each.is_file():
                each.unlink()
        if "busy" in (path.name, *(each.name for each in path.iterdir())):
            raise OSError("it is busy")
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", busy)
        assert main(["--user", "--uninstall"]) == 1
    assert (machine.prefix / "0.1.0-aa").exists()
    assert main(["--user", "--uninstall"]) == 0
    assert not machine.prefix.exists()


def test_a_file_that_was_changed_or_was_there_before_is_left(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.command.parent.mkdir(parents=True)
    machine.command.write_text("another's")
    assert machine.install("0.1.0-aa") == 0
    assert machine.command.read_text() == "another's"
    machine.unit.write_text("changed")
    assert machine.install("0.2.0-bb") == 0
    assert f"leave {machine.unit} as it is" in capsys.readouterr().out
    assert main(["--user", "--uninstall"]) == 0
    assert machine.unit.read_text() == "changed"
    assert machine.command.read_text() == "another's"


def test_enrolling_writes_the_kernels_configuration_and_a_private_token(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("clove_join_abc\n")
    where = ["--relay", "wss://relay.example.org:8765", "--machine", "m1"]
    assert machine.install("0.1.0-aa", *where, "--join-token-file", str(token)) == 0
    kept = machine.home / ".config/clove/join"
    assert kept.read_text() == "clove_join_abc\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    settings = (machine.home / ".config/clove/clove.toml").read_text()
    assert f'join_token_file = "{kept}"' in settings
    assert "clove_join_abc" not in settings + capsys.readouterr().out
    assert "clove_join_abc" not in (machine.prefix / "placed.json").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--relay", "wss://r"], "go together"),
        (["--relay", "https://r", "--machine", "m", "--join-token-file", "/dev/null"], "WebSocket"),
        (["--relay", "wss://r", "--machine", "m", "--join-token-file", "/none"], "cannot be read"),
        (["--relay", "wss://r", "--machine", "m", "--join-token-file", "/dev/null"], "no token"),
    ],
)
def test_enrolling_without_all_it_needs_is_refused_before_anything_is_done(
    machine: Machine, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.install("0.1.0-aa", *options) == 1
    assert said in capsys.readouterr().err
    assert not (machine.prefix / "current").is_symlink()


@pytest.mark.parametrize("facts", [{"python": "3.9"}, {"machine": "s390x"}, {"glibc": 999}])
def test_a_bundle_for_another_machine_is_refused_with_another_status(
    machine: Machine, facts: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--user"], bundle=str(machine.bundle("0.1.0-aa", **facts))) == 3
    assert "hint: " in capsys.readouterr().err


def test_half_a_bundle_is_refused(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    path = machine.bundle("0.1.0-aa")
    (path / "bundle.json").unlink()
    assert main(["--user"], bundle=str(path)) == 1
    assert "no whole bundle" in capsys.readouterr().err


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import zipfile

    path = machine.bundle("0.1.0-aa")
    with zipfile.ZipFile(
        path / "wheels/big-1-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED
    ) as wheel:
        wheel.writestr("zeros", bytes(4 << 20))
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 5 << 20}))
    assert main(["--user"], bundle=str(path)) == 1
    assert "needs 6 MB, and 5 MB are free" in capsys.readouterr().err
    assert not (machine.prefix / "0.1.0-aa").exists()


def test_users_are_removed_only_without_their_state(tmp_path: Path) -> None:
    path = tmp_path / "sysusers.d" / "some.conf"
    assert users_without_state(path) == []
    path.parent.mkdir()
    path.write_text(
        f'# users\nu root - "Has none" {tmp_path}/none\nu daemon - "Has state" {tmp_path}\n'
        f'u no-such-user - "Is not there" {tmp_path}/none\ng users -\n'
    )
    assert users_without_state(path) == ["root"]
