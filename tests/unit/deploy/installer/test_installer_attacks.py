"""The installer among other users, and with bundles that are damaged or hostile."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from clove.deploy.installer.bundle_directory import Problem
from clove.deploy.installer.main import main
from clove.deploy.installer.place import check_place
from tests.unit.deploy.installer.machine import Machine


@pytest.mark.parametrize("release", ["../../etc", "", "current", 7, None])
def test_a_bundle_with_a_release_that_is_no_name_is_refused(
    machine: Machine, release: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = machine.bundle("0.1.0-aa")
    facts = json.loads((path / "bundle.json").read_text())
    (path / "bundle.json").write_text(json.dumps({**facts, "release": release}))
    assert main(["--user"], bundle=str(path)) == 1
    assert "no whole bundle" in capsys.readouterr().err
    assert not (machine.prefix / "current").is_symlink()


def test_a_damaged_wheel_is_named(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    path = machine.bundle("0.1.0-aa")
    (path / "wheels/cut-1-py3-none-any.whl").write_bytes(b"PK")
    assert main(["--user"], bundle=str(path)) == 1
    assert "cut-1-py3-none-any.whl is damaged" in capsys.readouterr().err


def test_what_a_user_installs_others_cannot_write(machine: Machine) -> None:
    machine.bundle("0.1.0-aa")
    before = os.umask(0)
    try:
        assert machine.install("0.1.0-aa") == 0
    finally:
        os.umask(before)
    for path in [machine.prefix, *machine.prefix.rglob("*")]:
        assert path.is_symlink() or path.stat().st_mode & 0o022 == 0, path


def test_a_link_in_place_of_the_lock_empties_nothing(machine: Machine) -> None:
    machine.prefix.mkdir(parents=True)
    (machine.home / "precious").write_text("kept")
    (machine.prefix / ".lock").symlink_to(machine.home / "precious")
    assert machine.install("0.1.0-aa") == 1
    assert (machine.home / "precious").read_text() == "kept"


def test_the_release_in_use_is_not_removed_however_the_link_is_written(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("0.1.0-aa")
    (machine.prefix / "current").unlink()
    (machine.prefix / "current").symlink_to(machine.prefix / "0.1.0-aa")
    assert main(["--user", "--remove", "0.1.0-aa"]) == 1
    assert "is in use" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="what root refuses")
@pytest.mark.parametrize(("which", "mode"), [("prefix", 0o777), ("prefix", 0o1777), (".", 0o777)])
def test_root_installs_in_no_directory_that_all_may_write(
    tmp_path: Path, which: str, mode: int
) -> None:
    (tmp_path / "prefix").mkdir()
    (tmp_path / which).chmod(mode)
    with pytest.raises(Problem, match="may be written by everybody"):
        check_place(tmp_path / "prefix")
    (tmp_path / which).chmod(0o755)
    check_place(tmp_path / "prefix/not/there")


@pytest.mark.skipif(os.geteuid() != 0, reason="what root refuses")
def test_root_takes_no_record_of_a_user_for_what_it_removes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").write_text("known")
    mark = f"sha256:{hashlib.sha256(b'known').hexdigest()}"
    prefix = tmp_path / "users"
    prefix.mkdir()
    (prefix / "placed.json").write_text(json.dumps({str(tmp_path / "precious"): mark}))
    os.chown(prefix, 12345, 12345)
    (tmp_path / "link").symlink_to("users")
    for path in (prefix, tmp_path / "link"):
        assert main(["--uninstall", "--user", "--prefix", str(path)]) == 1
        assert "belongs to the user with the id 12345" in capsys.readouterr().err
    assert (tmp_path / "precious").read_text() == "known"
