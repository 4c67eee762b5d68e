"""`memory` where no cgroup counts it and a caller accepts that: all processes together are watched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest
from tests.integration.exposed import ROOT, ROOTLESS, Host, host, kill_all
from tests.sandboxes import NEEDS_SANDBOX

pytestmark = NEEDS_SANDBOX
CONFIG = "[limits.agents]\nmemory_interval = 0.05\n"
MEBI = 1 << 20
LIMIT = 192 * MEBI
HOLD = """
import mmap, os, sys, time

def touch(memory):
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1
    return memory

"""
SLEEP = "\nprint('up', flush=True)\ntime.sleep(100)\n"
TOO_MUCH = {
    "in one process": "kept = touch(bytearray(256 << 20))",
    "in several": "\n".join(
        (
            "for _ in range(4):",
            "    if os.fork() == 0:",
            "        kept = touch(bytearray(64 << 20))",
            "        break",
        )
    ),
    "in one that has left its parent": "\n".join(
        (
            "if os.fork() == 0:",
            "    os.setsid()",
            "    if os.fork():",
            "        os._exit(0)",
            "    kept = touch(bytearray(256 << 20))",
        )
    ),
    "in a memfd": "\n".join(
        (
            "handle = os.memfd_create('room')",
            "os.ftruncate(handle, 256 << 20)",
            "kept = touch(mmap.mmap(handle, 256 << 20))",
        )
    ),
}
SHARED = """
kept = touch(bytearray(128 << 20))
for _ in range(3):
    if os.fork() == 0:
        time.sleep(100)
"""
GROWS = """
print("small", flush=True)
sys.stdin.readline()
kept = touch(bytearray(100 << 20))
"""
RESERVED = "kept = mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)\n"
"""As sanitizers do: MAP_NORESERVE."""


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def running(request: pytest.FixtureRequest) -> Iterator[Host]:
    with host(request.param, CONFIG) as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_left(running: Host) -> Iterator[None]:
    yield
    kill_all(running.client)


@pytest.fixture(params=[True, False], ids=["warm", "cold"])
def start(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"warm": request.param}


def begin(running: Host, text: str, **fields: Any) -> Any:
    path = Path(running.kernel.directory, "memory.py")
    path.write_text(HOLD + text + SLEEP)
    reply = running.client.spawn(
        "memory", str(path), limits={"memory": LIMIT}, degrade=["limits"], **fields
    )
    if reply["isolation"]["cgroups"]["memory_limit"]:
        running.client.kill(reply["id"])
        pytest.skip("cgroups hold memory here (tests/vm/test_guest_limits.py)")
    return reply


@pytest.mark.parametrize("way", TOO_MUCH)
def test_an_agent_is_ended_when_its_processes_have_more_together(
    running: Host, start: dict[str, Any], way: str
) -> None:
    agent = begin(running, TOO_MUCH[way], **start)
    ended = running.client.wait("memory", timeout=60)
    assert ended["reason"] == "oom"
    said = [line["text"] for line in running.client.logs(agent["id"])["lines"]]
    assert any(f"over its memory limit of {LIMIT} bytes: " in line for line in said), said


def looked_at(running: Host, agent: Any) -> None:
    """Wait until it has been looked at several times: what it says comes later than that."""
    for line in running.client.follow_logs(agent["id"]):
        assert line["text"] == "up"
        break
    for _ in range(10):
        running.client.recv_messages(wait=0.05)


@pytest.mark.parametrize("kept", [SHARED, RESERVED], ids=["shared by forks", "reserved"])
def test_what_is_not_used_or_used_together_does_not_count_again(
    running: Host, start: dict[str, Any], kept: str
) -> None:
    agent = begin(running, kept, **start)
    looked_at(running, agent)
    assert running.client.inspect(agent["id"])["agent"]["running"]
    assert f"{LIMIT} bytes together" in agent["isolation"]["degraded_reason"]


def test_a_limit_that_is_changed_holds_at_once(running: Host) -> None:
    agent = begin(running, GROWS, stdin="stream")
    assert next(iter(running.client.follow_logs(agent["id"])))["text"] == "small"
    reply = running.client.update_limits("memory", {"memory": 64 * MEBI})
    assert reply["applied"] == ["memory"]
    running.client.write_input(b"grow\n", "memory")
    assert running.client.wait("memory", timeout=60)["reason"] == "oom"


def test_less_than_it_has_is_refused_and_changes_nothing(running: Host) -> None:
    agent = begin(running, "kept = touch(bytearray(100 << 20))")
    looked_at(running, agent)
    with pytest.raises(InvalidRequest, match="bytes of memory now, more than"):
        running.client.update_limits("memory", {"memory": 64 * MEBI, "disk": MEBI})
    looked_at(running, agent)
    found = running.client.inspect(agent["id"])
    assert found["agent"]["running"]
    assert (found["limits"]["memory"], found["isolation"].get("disk")) == (LIMIT, None)
