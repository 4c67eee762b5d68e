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

from clove.sandbox.probe import probe
from tests.integration.exposed import ROOT, Host, host

pytestmark = [
    pytest.mark.skipif(not probe().sandbox, reason="no sandbox here; `clove doctor` says why"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root mounts file systems"),
]
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


def begin(running: Host, name: str, text: str, **fields: Any) -> Any:
    path = Path(running.kernel.directory, f"{name}.py")
    path.write_text(text)
    return running.client.spawn(name, str(path), **fields)


@pytest.mark.parametrize("warm", [True, False])
def test_writes_beyond_it_fail_and_the_agent_goes_on(running: Host, warm: bool) -> None:
    name = f"full-{warm}"
    reply = begin(running, name, FILL, limits={"disk": 8 * MEBI}, warm=warm)
    assert reply["isolation"]["disk"] == "quota"
    assert running.client.wait(name, timeout=60)["reason"] == "exited"
    [line] = running.client.logs(name)["lines"]
    written, refused = line["text"].split()
    assert 7 * MEBI <= int(written) <= 8 * MEBI
    assert refused in ("EDQUOT", "ENOSPC")


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
