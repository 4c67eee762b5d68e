"""The step in which machines boot: they install Clove and join, and say on their consoles how that goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from clove.deploy.programs import run_program
from clove.deploy.relay import Enrolment
from clove.deploy.step import Facts, Planned, Progress
from clove.deploy.waiting import look_until
from clove.errors import CloveError, TimedOut, Unavailable

__all__ = ["Boot", "Console"]

BOOT_SECONDS: Final = 900.0
"""Until all machines must have booted, installed and joined."""
EVERY: Final = 2.0
CONSOLE_EVERY: Final = 20.0
"""Seconds between two looks at consoles, which clouds renew now and then."""
MARK: Final = "clove: "
"""How what L{clove.deploy.cloud.first_boot} prints begins."""
MOST: Final = 300
"""Characters of a line that are shown."""

Console = Callable[[Facts, str], Sequence[str]]
"""The command of the cloud's own program that shows the console of a machine, from what is known."""


class Boot:
    """Each machine has joined: the relay has its key.

    @param console: is run where there is such a program; nothing depends on it.
    """

    name = "boot"

    def __init__(
        self,
        enrolment: Enrolment,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._enrolment = enrolment
        self._console = console
        self._clock = clock
        self._sleep = sleep
        self._has_program = True
        self._shown: dict[str, int] = {}
        self._missing = list(enrolment.machines)
        self._console_at = 0.0

    def plan(self, facts: Facts) -> Planned:
        """What is waited for."""
        names = ", ".join(self._enrolment.machines)
        return Planned(f"wait until {names} booted, installed Clove and joined")

    def look(self, facts: Facts) -> Facts | None:
        """Whether all have."""
        return None if self._waited_for() else {}

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Wait, and tell what they say.

        @raise Unavailable: one says that it has failed.
        @raise TimedOut: one has not joined after a while.
        """
        self._console_at = self._clock() + CONSOLE_EVERY
        return look_until(
            lambda: self._joined(facts, progress),
            lambda: self._late(facts),
            seconds=BOOT_SECONDS,
            every=EVERY,
            clock=self._clock,
            sleep=self._sleep,
        )

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Nothing: they go with what was applied."""

    def where(self, machine: str, facts: Facts) -> str:
        """How to read what a machine says at its first boot, which nothing else lets one do."""
        return f"its console has lines that begin with {MARK.strip()} - {' '.join(self._console(facts, machine))}"

    def _waited_for(self) -> list[str]:
        own = self._enrolment
        return [machine for machine in own.machines if not own.has_joined(machine)]

    def _joined(self, facts: Facts, progress: Progress) -> Facts | None:
        """Whether all have; consoles are read meanwhile, also while the relay is away.

        @raise Unavailable: one says that it has failed.
        """
        if self._clock() >= self._console_at:
            for machine in self._missing:
                self._tell(machine, facts, progress)
            self._console_at = self._clock() + CONSOLE_EVERY
        self._missing = self._waited_for()
        return None if self._missing else {}

    def _late(self, facts: Facts) -> TimedOut:
        return TimedOut(
            f"{', '.join(self._missing)} did not join within {BOOT_SECONDS:.0f} s",
            hint=self.where(self._missing[0], facts),
        )

    def _tell(self, machine: str, facts: Facts, progress: Progress) -> None:
        """Tell what is new on its console.

        @raise Unavailable: it says that it has failed.
        """
        said = self._said(machine, facts)
        new = said[self._shown.get(machine, 0) :]
        self._shown[machine] = len(said)
        for line in new:
            progress.note(f"{machine}: {line}")
        if said and said[-1].startswith("failed"):
            raise Unavailable(
                f"{machine} could not be made ready: {said[-1]}",
                hint=f"{self.where(machine, facts)}; then --destroy, and make it anew",
            )

    def _said(self, machine: str, facts: Facts) -> list[str]:
        """What our program has said on a console; nothing where that cannot be read."""
        if not self._has_program:
            return []
        try:
            ran = run_program(self._console(facts, machine), missing="", timeout=30.0)
        except CloveError:
            self._has_program = False
            return []
        lines = (line.partition(MARK)[2] for line in ran.text.splitlines() if MARK in line)
        return ["".join(char for char in line[:MOST] if char.isprintable()) for line in lines]
