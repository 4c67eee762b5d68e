"""100 MB pasted into a program on a terminal: all of it arrives, and the kernel keeps none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.exposed import ROOT, ROOTLESS, host
from tests.integration.test_terminal_programs import paste

PASTED = 100 << 20
ROOM = 8 << 20


def most_memory(pid: int) -> int:
    """Bytes that a process has held at once, at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_a_paste_of_100_mb_arrives_and_is_not_kept(who: str) -> None:
    with host(who) as running:
        paste(running, 1 << 20)
        before = most_memory(running.kernel.pid)
        paste(running, PASTED, patience=600)
        assert most_memory(running.kernel.pid) - before < ROOM
