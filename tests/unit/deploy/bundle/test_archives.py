"""Archives whose bytes depend on what is in them alone."""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
import zipfile
from pathlib import Path

from clove.deploy.bundle.archives import Member, read_member, write_tar, write_wheel

MEMBERS = {"b/run": Member(b"#!/bin/sh\n", executable=True), "a/x": Member(b"1")}


def test_a_tar_has_the_order_of_names_one_time_and_no_owner_of_this_machine(tmp_path: Path) -> None:
    write_tar(tmp_path / "one", MEMBERS, time=1000)
    with tarfile.open(tmp_path / "one") as archive:
        members = archive.getmembers()
    assert [each.name for each in members] == ["a", "a/x", "b", "b/run"]
    assert {each.mtime for each in members} == {1000}
    assert {(each.uid, each.gid, each.uname, each.gname) for each in members} == {
        (0, 0, "root", "root")
    }
    assert [each.mode for each in members] == [0o755, 0o644, 0o755, 0o755]


def test_the_same_members_make_the_same_bytes_in_any_order_and_under_any_name(
    tmp_path: Path,
) -> None:
    write_tar(tmp_path / "one.tar.gz", MEMBERS, time=1000)
    write_tar(tmp_path / "two.tar.gz", dict(reversed(MEMBERS.items())), time=1000)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    write_tar(tmp_path / "two.tar.gz", MEMBERS, time=1001)
    assert (tmp_path / "one.tar.gz").read_bytes() != (tmp_path / "two.tar.gz").read_bytes()


def test_a_wheel_has_a_record_of_all_its_files_and_itself_last(tmp_path: Path) -> None:
    files = {"x-1.dist-info/METADATA": Member(b"Name: x\n"), "x/a.py": Member(b"")}
    write_wheel(tmp_path / "x.whl", files)
    with zipfile.ZipFile(tmp_path / "x.whl") as archive:
        names = archive.namelist()
        record = archive.read("x-1.dist-info/RECORD").decode()
        assert archive.getinfo("x/a.py").external_attr >> 16 == 0o100644
    assert names == ["x-1.dist-info/METADATA", "x/a.py", "x-1.dist-info/RECORD"]
    empty = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"=").decode()
    assert record.splitlines()[1:] == [f"x/a.py,sha256={empty},0", "x-1.dist-info/RECORD,,"]


def test_of_a_files_mode_only_that_it_may_be_run_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    modes = {}
    for mode in (0o600, 0o664, 0o700, 0o775):
        os.chmod(path, mode)
        modes[mode] = read_member(path).mode
    assert modes == {0o600: 0o644, 0o664: 0o644, 0o700: 0o755, 0o775: 0o755}


def test_what_a_link_leads_to_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "one").symlink_to("precious")
    write_tar(tmp_path / "one", MEMBERS, time=1000)
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "one").is_symlink()
