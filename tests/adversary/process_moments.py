"""Moments in the start of a main program, by what /proc says of its processes."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.zygotes import children, facts
from tests.waiting import until

Facts = dict[str, str]
SLEPT = "voluntary_ctxt_switches"
MOMENTS: dict[str, Callable[[Facts, Facts, Facts], bool]] = {
    "it waits": lambda before, init, main: True,
    "process 1 wakes": lambda before, init, main: init.get(SLEPT) != before[SLEPT],
    "process 1 has no rights": lambda before, init, main: init.get("CapEff") == "0" * 16,
    "process 1 is confined": lambda before, init, main: init.get("Seccomp") == "2",
    "it is confined itself": lambda before, init, main: main.get("Seccomp_filters") == "2",
}
"""When a main program is killed, by what /proc says of process 1 (before and now) and of it."""


def processes(pid: int) -> set[int]:
    """A process with all that comes from it."""
    return {pid}.union(*(processes(child) for child in children(pid)))


def alive(pid: int) -> bool:
    """It runs: it is no zombie either."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def confined(pid: int) -> bool:
    """Process 1 of a child has its spec, and all that it does before the main program begins."""
    return facts(pid).get("Seccomp") == "2"


def at(moment: str, init: int, main: int) -> Callable[[], bool]:
    """Whether this moment of a child's start is there."""
    before = facts(init)
    return lambda: not alive(init) or MOMENTS[moment](before, facts(init), facts(main))


def until_ended(pid: int) -> None:
    until(lambda: not alive(pid), f"process {pid} ends")
