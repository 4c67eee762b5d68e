"""A kernel's zygote, seen from outside."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path
from typing import Any

from clove import CloveClient
from clove.errors import NotFound
from tests.integration.conftest import KernelProcess
from tests.waiting import PATIENCE, until

__all__ = ["PATIENCE", "children", "facts", "until_preforked", "until_warm", "zygote_of"]

_numbers = itertools.count()


def children(pid: int) -> list[int]:
    """The processes that a process has started and not reaped."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, listing.read_text().split())
    return found


def zygote_of(kernel: KernelProcess) -> int:
    """The process id of the one that serves; 0: there is none."""
    for pid in children(kernel.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1].endswith(b"/zygote/server.py"):
            return pid
    return 0


def until_warm(client: CloveClient, script: str, unlike: int = 0) -> dict[str, Any]:
    """Spawn until an agent starts warm; the reply.

    @param unlike: no agent may be a child of this process.
    """
    end = time.monotonic() + PATIENCE
    for number in _numbers:
        reply = client.spawn(f"warm-{number}", script)
        if reply["warm"] and (not unlike or not os.path.exists(f"/proc/{unlike}")):
            return dict(reply)
        with contextlib.suppress(NotFound):  # it has ended by itself
            client.kill(reply["id"])
        assert time.monotonic() < end, "no agent starts warm"
        time.sleep(0.05)
    raise AssertionError


def facts(pid: int) -> dict[str, str]:
    """What /proc says of a process; empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def sleeps(pid: int) -> bool:
    return facts(pid).get("State", "").startswith("S")


def until_preforked(kernel: KernelProcess, client: CloveClient) -> tuple[int, int]:
    """Process 1 and main program of a child that has warmed up and waits to be wanted.

    @param client: an operator's.
    """

    def found() -> list[tuple[int, int]]:
        inits = children(zygote_of(kernel) or kernel.pid)
        pairs = [(init, main) for init in inits for main in children(init)]
        waiting = [pair for pair in pairs if all(map(sleeps, pair))]
        agents = {entry["pid"] for entry in client.list_agents()}
        return [pair for pair in waiting if pair[1] not in agents]

    return until(found, "a child waits")[-1]
