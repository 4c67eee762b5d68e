"""READ and WRITE on the host's real files."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from clove.errors import InvalidRequest, LimitExceeded, NotFound, PermissionDenied
from clove.kernel.calls.files import read, write
from clove.kernel.context import Context
from clove.kernel.files import FileLimits
from clove.kernel.principal import Kind, Principal
from clove.messages.files import ReadRequest, WriteRequest
from clove.policy import for_level
from clove.sandbox.host import HostView
from clove.sandbox.launcher import Launcher
from clove.threads.threads import Threads
from tests.waiting import PATIENCE


@dataclass
class Parts:
    """What READ and WRITE use of a kernel."""

    threads: Threads
    file_limits: FileLimits = field(default_factory=FileLimits)


class Caller:
    """An operator on the host."""

    def __init__(self, threads: Threads, launcher: Launcher, directory: Path) -> None:
        view = HostView(threads, launcher, str(directory))
        self.principal = Principal(7, Kind.OPERATOR, for_level("unrestricted"), view=view)
        self.parts = Parts(threads)
        kernel: Any = self.parts
        self.context = Context(kernel, self.principal)

    def may(self, level: str, **fields: Any) -> None:
        """Give it other permissions."""
        self.principal.permissions = msgspec.structs.replace(for_level(level), **fields)

    async def read(self, path: str | Path, **fields: Any) -> dict[str, Any]:
        asked = msgspec.convert({"path": str(path), **fields}, ReadRequest)
        reply: dict[str, Any] = json.loads(await read(self.context, asked))
        return reply

    async def write(self, path: str | Path, content: str, **fields: Any) -> int:
        asked = msgspec.convert({"path": str(path), "content": content, **fields}, WriteRequest)
        return (await write(self.context, asked)).bytes_written


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    from twisted.internet import reactor

    threads = Threads(reactor, 4)  # type: ignore[arg-type]
    threads.start()
    yield Caller(threads, Launcher(reactor, threads), tmp_path)
    threads.stop()
    assert not _held_below(tmp_path)


def _held_below(directory: Path) -> list[str]:
    """Paths below a directory that this process has open."""
    held = [_target(number) for number in os.listdir("/proc/self/fd")]
    return [path for path in held if path.startswith(str(directory))]


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # the listing's own
        return ""


async def test_what_is_written_is_read(caller: Caller, tmp_path: Path) -> None:
    assert await caller.write("f", "zwölf") == 6
    assert (tmp_path / "f").read_text() == "zwölf"
    assert await caller.write(tmp_path / "f", "!", mode="append") == 1
    assert await caller.read("f") == {"success": True, "content": "zwölf!", "size": 7}
    assert await caller.write("f", "new") == 3
    assert (await caller.read("f", offset=1, limit=1))["content"] == "e"


async def test_bytes_travel_as_base64(caller: Caller, tmp_path: Path) -> None:
    data = bytes(range(256))
    assert await caller.write("f", base64.b64encode(data).decode(), encoding="base64") == 256
    assert (tmp_path / "f").read_bytes() == data
    with pytest.raises(InvalidRequest) as caught:
        await caller.read("f")
    assert "base64" in caught.value.hint
    reply = await caller.read("f", encoding="base64")
    assert base64.b64decode(reply["content"]) == data
    with pytest.raises(InvalidRequest):
        await caller.write("g", "no base64!", encoding="base64")
    assert not (tmp_path / "g").exists()


async def test_the_principals_directory_is_where_relative_paths_start(
    caller: Caller, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    caller.principal.cwd = str(tmp_path / "sub")
    await caller.write("f", "x")
    assert (tmp_path / "sub/f").exists()
    caller.may("standard", allowed_read_paths=(f"{tmp_path}/sub/*",))
    assert (await caller.read("f"))["content"] == "x"
    with pytest.raises(PermissionDenied):
        await caller.read("../g")


async def test_what_is_not_there(caller: Caller) -> None:
    for path in ("missing", "missing/too"):
        with pytest.raises(NotFound):
            await caller.read(path)
    with pytest.raises(NotFound):
        await caller.write("missing/too", "x")


async def test_a_new_file_is_its_owners_alone(caller: Caller, tmp_path: Path) -> None:
    await caller.write("f", "x")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


async def test_writing_keeps_the_file_itself(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    (tmp_path / "f").chmod(0o640)
    before = (tmp_path / "f").stat()
    await caller.write("f", "x")
    after = (tmp_path / "f").stat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


async def test_a_file_over_the_limit_is_read_in_pieces(caller: Caller, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(LimitExceeded) as caught:
        await caller.read("big")
    assert "offset and limit" in caught.value.hint
    reply = await caller.read("big", offset=16 << 20, limit=10)
    assert (reply["content"], reply["size"]) == ("\0", (16 << 20) + 1)


async def test_a_reply_of_almost_16_mib_is_served(caller: Caller, tmp_path: Path) -> None:
    size = (16 << 20) - 100
    (tmp_path / "big").write_bytes(b"x" * size)
    assert len((await caller.read("big"))["content"]) == size


async def test_the_file_systems_own_refusals(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(InvalidRequest, match="Not a directory"):
        await caller.read("f/x")
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(InvalidRequest, match="links"):
        await caller.read("a")
    with pytest.raises(InvalidRequest, match="too long"):
        await caller.read("x" * 300)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_the_systems_denial_names_its_rule(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "f").touch(0o000)
    with pytest.raises(PermissionDenied) as caught:
        await caller.read("f")
    assert caught.value.rule == "os"


async def test_writers_of_one_new_file_do_not_hinder_each_other(
    caller: Caller, tmp_path: Path
) -> None:
    lines = [f"{number}\n" for number in range(50)]
    writes = [Deferred.fromCoroutine(caller.write("log", line, mode="append")) for line in lines]
    await gatherResults(writes)
    assert sorted((tmp_path / "log").read_text().splitlines(keepends=True)) == sorted(lines)


async def test_cancelling_leaves_no_descriptor(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    for turns in range(12):
        reading = Deferred.fromCoroutine(caller.read("f"))
        for _ in range(turns):
            await caller.parts.threads.run(int)
        reading.addErrback(lambda failure: failure.trap(CancelledError))
        reading.cancel()
        await reading
    end = time.monotonic() + PATIENCE
    while _held_below(tmp_path) and time.monotonic() < end:  # a thread may not have come to it yet
        await caller.parts.threads.run(int)


async def test_levels_decide(caller: Caller) -> None:
    caller.may("minimal")
    with pytest.raises(PermissionDenied) as caught:
        await caller.read("/etc/hostname")
    assert caught.value.rule == "level: minimal"
    caller.may("readonly")
    with pytest.raises(PermissionDenied):
        await caller.write("f", "x")


async def test_strangers_have_no_files(caller: Caller) -> None:
    caller.principal.view = None
    with pytest.raises(PermissionDenied) as caught:
        await caller.read("/etc/hostname")
    assert caught.value.rule == "peer-uid"


async def test_many_at_once_are_served(caller: Caller, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    replies = await gatherResults([Deferred.fromCoroutine(caller.read("f")) for _ in range(300)])
    assert all(reply["content"] == "x" for reply in replies)


FULL = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[2])
from clove.errors import LimitExceeded
from clove.kernel.files import write_content
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", sys.argv[1]], check=True)
path = sys.argv[1] + "/f"
try:
    write_content(os.open(path, os.O_WRONLY | os.O_CREAT), "f", b"x" * 20000, append=False)
except LimitExceeded as error:
    print(error)
"""


def test_a_full_disk_says_so(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    child = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, "-c", FULL, str(tmp_path), root],
        capture_output=True,
        text=True,
    )
    if "unshare" in child.stderr:
        pytest.skip(f"no namespaces here: {child.stderr.strip()}")
    assert child.stdout == "'f': the disk is full (8192 of 20000 bytes were written)\n"
