"""A kernel's nursery, seen from outside."""

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

__all__ = ["PATIENCE", "children", "nursery_of", "until_warm"]

PATIENCE = 30.0
"""Seconds for a nursery to serve, however busy the machine is."""
_numbers = itertools.count()


def children(pid: int) -> list[int]:
    """The processes that a process has made and not buried."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, listing.read_text().split())
    return found


def nursery_of(kernel: KernelProcess) -> int:
    """The process id of the one that serves; 0: there is none."""
    for pid in children(kernel.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[1].endswith(b"/nursery/server.py"):
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
