"""What is unpacked of an archive in a sandbox: what stays below, and nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from clove.relay.rest import archive_runner
from clove.relay.rest.archive_runner import unpack


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as made:
        for member, data in members:
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    raw.seek(0)
    return tarfile.open(fileobj=raw)


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, 0o777
    return made


def test_files_directories_and_links_within_are_made(tmp_path: Path) -> None:
    archive = packed(
        (member("./a/link", tarfile.SYMTYPE, "../b"), b""),
        (member("a/empty", tarfile.DIRTYPE), b""),
        (member("b"), b"text"),
    )
    unpack(archive, str(tmp_path))
    assert (tmp_path / "a/link").read_bytes() == b"text"
    assert (tmp_path / "a/empty").is_dir()
    assert (tmp_path / "b").stat().st_mode & 0o7777 in (0o755, 0o700)


@pytest.mark.parametrize(
    "bad",
    [
        member("../out"),
        member("a/../../out"),
        member("/out"),
        member("link", tarfile.SYMTYPE, "../out"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "b"),
        member("device", tarfile.CHRTYPE),
        member("fifo", tarfile.FIFOTYPE),
    ],
    ids=lambda each: f"{each.name}-{each.type.decode()}",
)
def test_what_leads_out_or_is_no_file_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ValueError, match=r"it|is no file"):
        unpack(packed((bad, b"")), str(inside))
    assert [path.name for path in tmp_path.rglob("*")] == ["inside"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = packed(
        (member("d", tarfile.DIRTYPE), b""),
        (member("l", tarfile.SYMTYPE, "d"), b""),
        (member("l/../../x", tarfile.SYMTYPE, "d"), b""),
    )
    with pytest.raises(ValueError, match="leads out"):
        unpack(archive, str(inside))
    archive = packed((member("l", tarfile.SYMTYPE, "d"), b""), (member("l/file"), b"text"))
    with pytest.raises(OSError, match="exists"):
        unpack(archive, str(inside))
    two = packed(
        (member("a/b", tarfile.SYMTYPE, "c/d"), b""),
        (member("a/c", tarfile.SYMTYPE, "."), b""),
        (member("a/x", tarfile.SYMTYPE, "c/c/../../.."), b""),
    )
    with pytest.raises(ValueError, match="leads out"):
        unpack(two, str(inside))
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_runner, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="more than"):
        unpack(packed((member("a"), bytes(6)), (member("b"), bytes(6))), str(tmp_path))


def test_an_interpreter_without_pip_takes_one_of_an_environment(tmp_path: Path) -> None:
    bare, made = tmp_path / "bare", tmp_path / "made"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    call = f"import runpy; print(runpy.run_path({archive_runner.__file__!r})['_python_with_pip']({str(made)!r}))"
    found = subprocess.check_output([str(bare / "bin/python"), "-c", call], text=True).strip()
    subprocess.run([found, "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)
