"""The program that makes dry runs, run on the host: what it finds, and that nothing is left."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import clove
from clove.sandbox.seccomp.exec_filter import exec_filter

PROGRAM = str(Path(clove.__file__).with_name("sandbox") / "inside" / "dry_run.py")
FILTER = exec_filter(os.uname().machine)
EXECUTED = "succeeded"

needs_filter = pytest.mark.skipif(not FILTER, reason="no system call filter for this machine")


def dry_runs(*words: dict[str, Any], cwd: Path | None = None) -> list[dict[str, str]]:
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", PROGRAM, json.dumps(list(words))],
        capture_output=True,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert ran.stderr == b""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def dry_run(what: str, **words: Any) -> dict[str, str]:
    [found] = dry_runs({"what": what, **words})
    return found


def executed(program: str, **words: Any) -> dict[str, str]:
    words = {"shell": False, "cwd": "/", **words}
    return dry_run("EXEC", program=program, filter=FILTER, **words)


def state(path: Path) -> dict[str, Any]:
    """All that a visitor could have changed."""
    found: dict[str, Any] = {}
    for each in (path, *path.rglob("*")):
        facts = each.lstat()
        found[str(each)] = (facts.st_size, facts.st_mtime_ns, facts.st_mode, facts.st_ino)
    return found


def test_files_are_opened_and_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dir").mkdir()
    before = state(tmp_path)
    words = [
        {"what": what, "path": f"{tmp_path}/{name}"}
        for what in ("READ", "WRITE")
        for name in ("file", "dir", "new", "missing/new")
    ]
    found = dry_runs(*words, {"what": "WRITE", "path": f"{tmp_path}/new/"})
    names = [each.get("errno_name", each["happened"]) for each in found]
    assert names == [
        *(EXECUTED, "EISDIR", "ENOENT", "ENOENT"),
        *(EXECUTED, "EISDIR", EXECUTED, "ENOENT"),
        "EISDIR",
    ]
    assert state(tmp_path) == before


def test_where_a_link_leads_is_what_is_tried(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/new")
    (tmp_path / "astray").symlink_to("nowhere/new")
    assert dry_run("WRITE", path=f"{tmp_path}/link")["happened"] == "succeeded"
    assert dry_run("WRITE", path=f"{tmp_path}/astray")["errno_name"] == "ENOENT"
    assert list((tmp_path / "there").iterdir()) == []


def test_a_file_system_without_nameless_files_is_tried_by_a_name() -> None:
    for path in ("/proc/clove-dry-run", "/sys/clove-dry-run"):  # where nobody makes files
        assert dry_run("WRITE", path=path)["happened"] == "failed"


def test_what_opening_would_disturb_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        listening.setblocking(False)
        for name in (f"{tmp_path}/fifo", f"{tmp_path}/sock", "/dev/null"):
            for what in ("READ", "WRITE"):
                assert dry_run(what, path=name)["happened"] == "not tried"
        with pytest.raises(BlockingIOError):
            listening.accept()


@needs_filter
def test_a_program_is_executed_and_does_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho said; touch {tmp_path}/made\n")
    script.chmod(0o755)
    assert executed(str(script))["happened"] == EXECUTED
    assert executed("./script", cwd=str(tmp_path))["happened"] == EXECUTED
    assert executed("sh")["happened"] == EXECUTED
    assert list(tmp_path.iterdir()) == [script]


@needs_filter
def test_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    plain, text, lost = tmp_path / "plain", tmp_path / "text", tmp_path / "lost"
    for path, content in ((plain, "x"), (text, "echo"), (lost, "#!/no/such/program\n")):
        path.write_text(content)
    text.chmod(0o755)
    lost.chmod(0o755)
    assert executed(str(plain))["errno_name"] == "EACCES"
    assert executed(str(text))["errno_name"] == "ENOEXEC"
    assert executed(str(text), shell=True)["happened"] == EXECUTED
    assert executed(str(lost))["errno_name"] == "ENOENT"
    assert executed("no-such-program-anywhere")["errno_name"] == "ENOENT"
    assert executed("sh", cwd="/no/such/directory")["errno_name"] == "ENOENT"
    assert executed("/")["errno_name"] == "EACCES"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code for x86_64")
def test_a_program_that_makes_no_system_call_is_ended(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.write_bytes(tiny_elf(b"\xeb\xfe"))  # jmp to itself
    loop.chmod(0o755)
    assert executed(str(loop))["happened"] == EXECUTED


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code for x86_64")
def test_a_program_cannot_pass_for_one_that_was_refused(tmp_path: Path) -> None:
    """It writes where the dry run itself reports, and ends; the descriptor is closed by then."""
    code = (
        b"\xb8\x01\x00\x00\x00\xbf\x09\x00\x00\x00"  # mov eax, 1 (write); mov edi, 9
        b"\x48\x8d\x35\x11\x00\x00\x00\xba\x04\x00\x00\x00"  # lea rsi, [rip+17]; mov edx, 4
        b"\x0f\x05\xb8\xe7\x00\x00\x00\x31\xff\x0f\x05"  # syscall; exit_group(0)
        b"\x90[2]\n"
    )
    liar = tmp_path / "liar"
    liar.write_bytes(tiny_elf(code))
    liar.chmod(0o755)
    assert executed(str(liar))["happened"] == EXECUTED


def tiny_elf(code: bytes) -> bytes:
    """A static program of x86_64 (elf(5)): one segment, which begins with its headers."""
    base, size = 0x400000, 64 + 56 + len(code)
    number = int.to_bytes
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += number(2, 2, "little") + number(62, 2, "little") + number(1, 4, "little")
    header += number(base + 120, 8, "little") + number(64, 8, "little") + bytes(8)
    header += bytes(4) + number(64, 2, "little") + number(56, 2, "little")
    header += number(1, 2, "little") + bytes(6)
    segment = number(1, 4, "little") + number(5, 4, "little") + bytes(8)
    segment += number(base, 8, "little") * 2 + number(size, 8, "little") * 2
    segment += number(0x1000, 8, "little")
    return header + segment + code


def test_hosts_are_connected_to_without_a_byte() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words: dict[str, Any] = {"host": "127.0.0.1", "port": port, "seconds": 5}
        assert dry_run("CONNECT", gateway=False, **words)["happened"] == "succeeded"
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""
    assert dry_run("CONNECT", gateway=False, **words)["errno_name"] == "ECONNREFUSED"
    unused = {**words, "host": "unused.invalid"}
    assert dry_run("CONNECT", gateway=False, **unused)["errno_name"].startswith("EAI_")


def test_a_connection_through_a_gateway_counts_when_it_stands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = {"host": "127.0.0.1", "port": server.getsockname()[1], "gateway": True}
        assert dry_run("CONNECT", seconds=0.1, **words)["errno_name"] == "ETIMEDOUT"
