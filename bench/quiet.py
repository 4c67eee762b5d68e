"""Take samples while nothing else uses the machine, as far as the machine says so.

What others use is the processor time of the whole machine (/proc/stat, with what a hypervisor
took away) less that of this process and all that descends from it. A sample during which that was too
much is thrown away, and the next one waits until it is less; how long all waits of a run may take
together is bounded, and a sample that had to be taken anyway is told as disturbed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.leaks import descendants

__all__ = ["Quiet", "foreign_share"]

T = TypeVar("T")
TICK: float = os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6, 7)
"""Fields of /proc/stat: user, nice, system, irq, softirq, steal."""
LOOK_SECONDS = 0.3
"""How long the machine is looked at to see whether it is quiet again."""


class Quiet:
    """A run's judgement of the machine.

    @param share: of one processor, that others may use.
    @param patience: seconds of waiting, and of samples thrown away, in all.
    @param tries: how often a sample that was disturbed is taken again.
    @param say: told what is waited for; an empty text: nothing any more.
    """

    def __init__(
        self,
        share: float = 0.12,
        patience: float = 120.0,
        tries: int = 2,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.waited = 0.0
        self._share = share
        self._patience = patience
        self._tries = tries
        self._say = say
        self._noisy = True

    def sample(self, take: Callable[[], T], *, again: bool = True) -> tuple[T, bool]:
        """Take one.

        @param take: takes it, and gives it back.
        @param again: take it again where it was disturbed; not worth the time for a long one.
        @return: the sample, and whether others used the machine meanwhile.
        """
        for left in range(self._tries if again else 0, -1, -1):
            if self._noisy:
                self._wait()
            before = used()
            taken = take()
            after = used()
            self._noisy = foreign_share(before, after) > self._share
            if not self._noisy or not left or self.waited >= self._patience:
                break
            self.waited += after[0] - before[0]
        return taken, self._noisy

    def _wait(self) -> None:
        """Until the machine is quiet, or patience is used up."""
        while (foreign := _measured(LOOK_SECONDS)) > self._share:
            if self.waited >= self._patience:
                break
            self.waited += LOOK_SECONDS
            self._say(f"waiting: others use {foreign:.0%} of a processor")
        self._say("")


def used() -> tuple[float, float, float]:
    """Now, and seconds of processor time: the machine's, and ours with all that descends from us."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    own = sum(_seconds(pid) for pid in [os.getpid(), *(pid for pid, _ in descendants())])
    return time.monotonic(), sum(fields[at] for at in BUSY) / TICK, own


def foreign_share(before: tuple[float, float, float], after: tuple[float, float, float]) -> float:
    """How much of one processor others used between two readings of L{used}. Pure."""
    elapsed, machine, own = (now - was for was, now in zip(before, after, strict=True))
    return max(0.0, machine - own) / elapsed if elapsed > 0 else 0.0


def _measured(seconds: float) -> float:
    before = used()
    time.sleep(seconds)
    return foreign_share(before, used())


def _seconds(pid: int) -> float:
    """Of a process, with its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(text) for text in fields[11:15]) / TICK
