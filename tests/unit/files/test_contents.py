"""Reading and writing open files, bounded."""

import base64
import json
import os
import resource
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest, LimitExceeded
from clove.kernel.files import decode_content, read_slice, write_content
from clove.threads.pieces import PIECE


def read(path: Path, **arguments: Any) -> dict[str, Any]:
    """Read a file by its path; the reply decoded."""
    arguments.setdefault("most", 1 << 20)
    reply = read_slice(os.open(path, os.O_RDONLY), str(path), **arguments)
    decoded: dict[str, Any] = json.loads(reply)
    return decoded


def write(path: Path, data: bytes, *, append: bool = False) -> int:
    """Write a file by its path."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0)
    return write_content(os.open(path, flags), str(path), data, append=append)


def test_a_text_is_read_whole_and_in_slices(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("zwölf\n")
    assert read(path) == {"success": True, "content": "zwölf\n", "size": 7}
    assert read(path, offset=4, limit=2)["content"] == "lf"
    assert read(path, offset=7) == {"success": True, "content": "", "size": 7}
    assert read(path, offset=2**63 - 1 - 4096)["content"] == ""
    assert read(path, limit=0)["content"] == ""


def test_bytes_that_are_no_text_need_base64(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"ab\xff\x00")
    with pytest.raises(InvalidRequest, match="byte 2") as caught:
        read(path)
    assert "base64" in caught.value.hint
    assert base64.b64decode(read(path, encoding="base64")["content"]) == b"ab\xff\x00"


def test_a_slice_through_a_character_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("ö")
    with pytest.raises(InvalidRequest):
        read(path, offset=1)


def test_a_file_over_the_limit_names_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 2000)
    with pytest.raises(LimitExceeded) as caught:
        read(path, most=1000)
    assert "offset" in caught.value.hint
    assert "limit" in caught.value.hint
    with pytest.raises(LimitExceeded):
        read(path, most=1000, limit=2000)
    assert read(path, most=1000, limit=900)["size"] == 2000


def test_the_limit_counts_the_reply_as_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\x01" * 500)  # six bytes each in JSON
    with pytest.raises(LimitExceeded):
        read(path, most=1000)


def test_files_of_proc_are_read_though_they_say_that_they_are_empty() -> None:
    reply = read(Path("/proc/meminfo"))
    assert "MemTotal" in reply["content"]
    assert reply["size"] == 0


def test_what_is_open_must_be_a_file() -> None:
    for opened in (os.open("/dev/zero", os.O_RDWR), os.open("/tmp", os.O_RDONLY)):
        with pytest.raises(InvalidRequest):
            read_slice(opened, "x", most=10)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(opened)
    left, right = socket.socketpair()
    with left, right, pytest.raises(InvalidRequest):
        write_content(os.dup(left.fileno()), "x", b"x", append=True)


def test_writing_replaces_and_appending_adds(tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert write(path, b"a long text") == 11
    assert write(path, b"short") == 5
    assert path.read_bytes() == b"short"
    assert write(path, b"er", append=True) == 2
    assert path.read_bytes() == b"shorter"
    assert write(path, b"") == 0
    assert path.read_bytes() == b""


def test_a_limit_on_the_way_says_how_much_was_written(tmp_path: Path) -> None:
    path = tmp_path / "f"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(LimitExceeded, match="100 of 150 bytes"):
            write(path, b"x" * 150)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_no_descriptor_is_left_when_writing_fails() -> None:
    opened = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(InvalidRequest):
        write_content(opened, "/dev/full", b"x", append=True)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


def test_content_is_decoded_strictly() -> None:
    assert decode_content("aGk=", "base64") == b"hi"
    assert decode_content("höh", "utf-8") == "höh".encode()
    for content, encoding in [("aGk", "base64"), ("a\nGk=", "base64"), ("é", "base64")]:
        with pytest.raises(InvalidRequest):
            decode_content(content, encoding)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        decode_content("\ud800", "utf-8")


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2])
def test_base64_of_any_length_is_that_of_the_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    reply = read(path, encoding="base64")
    assert reply["content"] == base64.b64encode(path.read_bytes()).decode()


@pytest.mark.parametrize("character", ["ö", "€", "😀", "\\", '"', "\x00", "\u2028"])
@pytest.mark.parametrize("before", range(5))
def test_characters_survive_where_pieces_meet(tmp_path: Path, character: str, before: int) -> None:
    path = tmp_path / "f"
    text = "x" * (PIECE - before) + character + "y" * PIECE + character
    path.write_bytes(text.encode())
    assert read(path)["content"] == text


@pytest.mark.parametrize("fault", [b"\xff", b"\x80", b"\x80" * 9, b"\xf0\x9f\x98", b"\xed\xa0\x80"])
@pytest.mark.parametrize("before", range(5))
def test_a_fault_where_pieces_meet_is_named_as_in_the_whole(
    tmp_path: Path, fault: bytes, before: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * (PIECE - before) + fault + b"y" * PIECE)
    with pytest.raises(InvalidRequest, match=f"at byte {PIECE - before} of"):
        read(path)
