"""Small files, and what may lie where one is expected. Nothing here may wait."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from clove.errors import InvalidRequest
from clove.kernel.config import load
from clove.kernel.mounts.binaries import needed_by
from clove.llm.options import Options, read_key
from clove.regular import NotSmall, existing, open_regular, read_regular, write_whole


@pytest.fixture(params=["fifo", "zero", "socket", "directory", "tty"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What is no regular file."""
    path = tmp_path / "it"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "zero":
        path.symlink_to("/dev/zero")
    elif request.param == "tty":
        path.symlink_to("/dev/tty")
    elif request.param == "directory":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    return str(path)


def test_what_is_no_file_is_refused_with_its_kind(other: str) -> None:
    with pytest.raises(NotSmall, match=r"is a (fifo|socket|device|directory), not a regular file"):
        read_regular(other, 100)


def test_a_configuration_that_is_no_file_is_refused(other: str) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot read .*: is a .*, not a regular file"):
        load(other)


def test_a_key_that_is_no_file_is_refused(other: str) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*: is a .*, not a regular file"):
        read_key(Options(key_file=other))


def test_a_program_that_is_no_file_needs_nothing(other: str) -> None:
    assert needed_by(other) == ()


def test_no_more_is_read_than_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"x" * 100)
    assert read_regular(str(path), 100) == b"x" * 100
    with pytest.raises(NotSmall) as caught:
        read_regular(str(path), 99)
    assert caught.value.errno == errno.EFBIG
    os.truncate(path, 1 << 40)
    with pytest.raises(NotSmall, match="has more than 100 bytes"):
        read_regular(str(path), 100)
    with pytest.raises(InvalidRequest, match="has more than"):
        load(str(path))


def test_a_file_that_says_to_be_empty_is_read_to_its_end() -> None:
    assert b"Linux" in read_regular("/proc/version", 4096)


def test_a_descriptor_is_closed_in_every_case(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"x")
    for most in (0, 1):
        descriptor = open_regular(str(path))
        try:
            read_regular(descriptor, most)
        except NotSmall:
            assert most == 0
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_what_is_missing_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(str(tmp_path / "no"), 1)


def test_a_file_that_need_not_be_there_is_left_out_only_if_nothing_is(tmp_path: Path) -> None:
    path = tmp_path / "config"
    assert existing(None) is None
    assert existing(str(path)) is None
    path.symlink_to("nowhere")
    assert existing(str(path)) == str(path)


def test_a_file_is_replaced_by_one_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    path.chmod(0o644)
    (tmp_path / "other").write_text("another's")
    (tmp_path / "kept.new").symlink_to(tmp_path / "other")  # as left, or laid, by another
    write_whole(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o600)
    assert (tmp_path / "other").read_text() == "another's"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["kept", "other"]


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    code = (
        "import resource, signal, sys\nfrom clove.regular import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_whole(sys.argv[1], b'x' * 8192)\n"
        "except OSError as error: print(error.errno)"
    )
    ran = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert ran.stdout.strip() == str(errno.EFBIG), ran.stderr
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
