"""`disk` where the file system has project quotas: it holds the limit itself (docs/limits.md).

The loop device and its mount are in the kernel's own mount namespace, and end with it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.kernel.launch.disk_quota import limits_of, project_of
from tests.integration.exposed import ROOT, Host, host
from tests.sandboxes import NEEDS_SANDBOX
from tests.waiting import until

pytestmark = [
    NEEDS_SANDBOX,
    pytest.mark.skipif(os.getuid() != 0, reason="only root mounts file systems"),
]
WARM_AND_COLD = pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
MEBI = 1 << 20
FILL = """
import errno, os
written, found = 0, None
try:
    with open("big", "wb", buffering=0) as file:
        for _ in range(32):
            written += file.write(bytes(1 << 20))
except OSError as error:
    found = errno.errorcode[error.errno]
print(written, found, flush=True)
"""
ESCAPE = """
import errno, fcntl, os, struct
SET, FLAGS, FORMAT = 0x401C5820, 0x40086602, "=IIIII8x"
os.mkdir("below")
open("own", "wb").close()
for path in (".", "below", "own"):
    for project, flags in ((0, 0), (0, 0x200), (1, 0x200)):
        descriptor = os.open(path, os.O_RDONLY)
        for call, given in ((SET, struct.pack(FORMAT, flags, 0, 0, project, 0)), (FLAGS, bytes(8))):
            try:
                fcntl.ioctl(descriptor, call, given)
            except OSError as error:
                pass
        os.close(descriptor)
total, found = 0, None
for path in ("own", "below/file", "file"):
    try:
        with open(path, "ab", buffering=0) as file:
            for _ in range(16):
                total += file.write(bytes(1 << 20))
    except OSError as error:
        found = errno.errorcode[error.errno]
print(total, found, flush=True)
"""
EMPTY_FILES = """
import errno
made, found = 0, None
try:
    for made in range(5000):
        open(str(made), "wb").close()
except OSError as error:
    found = errno.errorcode[error.errno]
print(made, found, flush=True)
"""
SPACE = """
import os, time
found = os.statvfs(".")
print(found.f_blocks * found.f_frsize, flush=True)
time.sleep(100)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system with project quotas."""
    base = tmp_path_factory.mktemp("quota")
    path = base / "image"
    path.touch()
    os.truncate(path, 64 * MEBI)
    if not shutil.which("mkfs.ext4"):
        pytest.skip("needs mkfs.ext4 (e2fsprogs)")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "quota,project", str(path)], check=True)
    (base / "at").mkdir()
    mount = ["mount", "-o", "loop,prjquota", str(path), str(base / "at")]
    tried = ["unshare", "--mount", "--propagation", "private", *mount]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0]
        pytest.skip(f"this Linux mounts no ext4 with project quotas (CONFIG_QFMT_V2): {reason}")
    yield path
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def running(image: Path) -> Iterator[Host]:
    """A root kernel whose state directory is on it."""
    at = image.parent / "at"
    lines = [
        "set -eu",
        f"mount -o loop,prjquota {shlex.quote(str(image))} {at}",
        'state=; for word; do [ "$state" = next ] && state=$word; '
        '[ "$word" = --state-dir ] && state=next; done',
        'mkdir -p "$state"; chmod 700 "$state"; mount --bind $AT "$state"; chmod 700 "$state"',
        'exec "$@"',
    ]
    script = "\n".join(lines).replace("$AT", str(at))
    unshare = ("unshare", "--mount", "--propagation", "private")
    with host(ROOT, prefix=(*unshare, "sh", "-c", script, "sh")) as found:
        yield found


def hard_limits(running: Host, project: int) -> tuple[int, int]:
    """What the file system says: KiB, and files."""
    held = os.open(f"/proc/{running.kernel.pid}/root{running.kernel.state_dir}", os.O_RDONLY)
    try:
        return limits_of(held, project)
    finally:
        os.close(held)


def begin(running: Host, name: str, text: str, **fields: Any) -> Any:
    path = Path(running.kernel.directory, f"{name}.py")
    path.write_text(text)
    return running.client.spawn(name, str(path), **fields)


@WARM_AND_COLD
def test_writes_beyond_it_fail_and_the_agent_goes_on(running: Host, warm: bool) -> None:
    name = f"full-{warm}"
    reply = begin(running, name, FILL, limits={"disk": 8 * MEBI}, warm=warm)
    assert reply["isolation"]["disk"] == "quota"
    assert running.client.wait(name, timeout=60)["reason"] == "exited"
    [line] = running.client.logs(name)["lines"]
    written, refused = line["text"].split()
    assert 7 * MEBI <= int(written) <= 8 * MEBI
    assert refused in ("EDQUOT", "ENOSPC")


@WARM_AND_COLD
def test_an_agent_cannot_take_its_files_out_of_it(running: Host, warm: bool) -> None:
    name = f"out-{warm}"
    begin(running, name, ESCAPE, limits={"disk": 8 * MEBI}, warm=warm)
    assert running.client.wait(name, timeout=60)["reason"] == "exited"
    written, refused = running.client.logs(name)["lines"][-1]["text"].split()
    assert int(written) <= 8 * MEBI
    assert refused in ("EDQUOT", "ENOSPC")


def test_files_without_content_are_bounded_too(running: Host) -> None:
    begin(running, "many", EMPTY_FILES, limits={"disk": MEBI})
    running.client.wait("many", timeout=60)
    made, refused = running.client.logs("many")["lines"][-1]["text"].split()
    assert 3900 <= int(made) <= 4096
    assert refused == "EDQUOT"


def test_an_agent_sees_its_limit_and_nothing_of_it_stays_afterwards(running: Host) -> None:
    reply = begin(running, "brief", SPACE, limits={"disk": 8 * MEBI})
    assert int(next(running.client.follow_logs("brief"))["text"]) == 8 * MEBI  # as df says
    project = project_of(reply["id"])
    assert hard_limits(running, project) == (8192, 32768)
    running.client.kill("brief")
    until(lambda: hard_limits(running, project) == (0, 0), "the quota is forgotten")


def test_it_is_changed_while_an_agent_runs(running: Host) -> None:
    wait = "import time\nwhile not os.path.exists('/workspace/go'):\n    time.sleep(0.01)\n"
    begin(running, "grown", "import os\n" + wait + FILL, limits={"disk": 8 * MEBI})
    assert running.client.update_limits("grown", {"disk": 16 * MEBI})["applied"] == ["disk"]
    running.client.write_file("/workspace/go", "", agent="grown")
    running.client.wait("grown", timeout=60)
    written = int(running.client.logs("grown")["lines"][-1]["text"].split()[0])
    assert 15 * MEBI <= written <= 16 * MEBI


def test_without_a_limit_all_of_it_may_be_used(running: Host) -> None:
    begin(running, "free", FILL)
    running.client.wait("free", timeout=60)
    assert running.client.logs("free")["lines"][-1]["text"] == f"{32 * MEBI} None"
