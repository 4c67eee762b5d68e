"""Cgroups from inside, and what a killed kernel leaves: row 27 of the attacks.

Where a kernel has controllers, tests/vm/test_guest_agents.py and test_guest_limits.py try the
same in a guest that has them.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import IsolationUnavailable
from tests.adversary.arena import WAYS, Arena
from tests.integration.exposed import ROOTLESS, host

ATTEMPTS = """
import ctypes, errno, glob, json, os

libc = ctypes.CDLL(None, use_errno=True)
found = {}

def tried(name, function, *args):
    try:
        found[name] = function(*args)
    except OSError as error:
        found[name] = errno.errorcode[error.errno]

def mounted(kind):
    if libc.mount(b"none", b"/tmp", kind, 0, None) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "mounted"

def entered():
    if libc.setns(os.open("/proc/self/ns/cgroup", os.O_RDONLY), 0) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "entered"

def raised():
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))

tried("files", os.listdir, "/sys/fs/cgroup")
tried("write", open, "/sys/fs/cgroup/cgroup.procs", "w")
tried("mount v2", mounted, b"cgroup2")
tried("mount v1", mounted, b"cgroup")
tried("enter", entered)
tried("unshare", lambda: libc.unshare(0x02000000) and (_ for _ in ()).throw(OSError(ctypes.get_errno(), "")))
try:
    raised()
except (OSError, ValueError) as error:
    found["raise"] = type(error).__name__
with open("/proc/self/cgroup") as file:
    found["own"] = [line.strip().split(":", 2)[2] for line in file if line.startswith("0:")]
found["writable"] = [path for path in glob.glob("/sys/**", recursive=True) if os.access(path, os.W_OK)]
print(json.dumps(found))
"""
STUBBORN = """
import os, signal, sys, time
from clove import CloveClient
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
else:
    CloveClient().send_message("up", to=int(sys.argv[-1]))
time.sleep(300)
"""


def test_an_agent_can_neither_see_nor_change_its_cgroup(arena: Arena) -> None:
    found = arena.run(ATTEMPTS)
    assert found["files"] == found["write"] == "ENOENT"
    assert found["mount v2"] == found["mount v1"] == "EPERM"
    assert found["enter"] == found["unshare"] == "EPERM"
    assert found["raise"] in ("ValueError", "PermissionError")
    assert set(found["own"]) <= {"/"}
    assert found["writable"] == []


@pytest.fixture
def start_kernel() -> Iterator[Callable[..., Arena]]:
    """Kernels for one test alone."""
    contexts = []

    def start(who: str, way: str, **options: Any) -> Arena:
        context = host(who, **options)
        here = context.__enter__()
        contexts.append(context)
        arena = Arena(**vars(here), start=way)
        if way == "warm" and not arena.warm_is_known:
            pytest.skip("this kernel has no warm start")
        return arena

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def marked(marker: str) -> list[str]:
    """Processes of the host whose words have a marker in them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in words:
                found.append(entry.name)
    return found


def left(arena: Arena) -> dict[str, list[str]]:
    """What of this kernel's is on the host: processes, mounts, agents' places."""
    directory = arena.kernel.directory
    state = Path(arena.kernel.state_dir)
    mounted = Path("/proc/self/mountinfo").read_text()
    return {
        "processes": marked("survivor-marker"),
        "mounts": [row for row in mounted.splitlines() if directory in row],
        "places": [str(path) for name in ("agents", "run") for path in (state / name).iterdir()],
    }


@pytest.mark.parametrize(("who", "way"), WAYS, ids=map("-".join, WAYS))
def test_a_killed_kernel_leaves_nothing_that_its_successor_does_not_clear(
    start_kernel: Callable[..., Arena], who: str, way: str
) -> None:
    arena = start_kernel(who, way)
    script = Path(arena.kernel.directory, "stubborn.py")
    script.write_text(STUBBORN)
    own = str(arena.client.hello()["agent_id"])
    for number in range(3):
        arena.begin_file(str(script), "survivor-marker", own, name=f"stubborn-{number}")
        arena.client.recv_messages(wait=20, max=1)
    assert len(marked("survivor-marker")) >= 6  # each and its child, at least
    arena.client.close()
    arena.kernel.stop(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while marked("survivor-marker") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marked("survivor-marker") == []
    arena.kernel.start()
    assert left(arena) == {"processes": [], "mounts": [], "places": []}
    assert way == "cold" or arena.warm_is_known
    assert arena.run("print(7)") == 7


READ_ONLY = """
for place in $(grep cgroup /proc/self/mounts | cut -d' ' -f2); do
    mount --bind -o ro "$place" "$place" 2>/dev/null && mount -o remount,bind,ro "$place"
done
exec "$@"
"""


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="only root can mount it read-only"
)
@pytest.mark.parametrize(("who", "way"), WAYS, ids=map("-".join, WAYS))
def test_a_read_only_cgroupfs_is_lived_with_and_told(
    start_kernel: Callable[..., Arena], who: str, way: str
) -> None:
    """A container has one: limits are rlimits then, and those asked for by name are refused."""
    prefix = ("unshare", "-m", "--", "sh", "-c", READ_ONLY, "sh")
    arena = start_kernel(who, way, prefix=prefix)
    reply = arena.begin("print(7)")
    assert arena.printed(reply["id"]) == 7
    isolation = reply["isolation"]
    assert isolation["cgroups"]["memory_limit"] is False
    assert isolation["namespaces"]["pid"] is True
    with pytest.raises(IsolationUnavailable) as caught:
        arena.begin("print(7)", limits={"memory": 64 << 20})
    assert "cgroup" in str(caught.value)
    assert "clove doctor" in caught.value.hint
    assert who != ROOTLESS or not isolation["fully_isolated"]
