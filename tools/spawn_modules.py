"""Count which modules of Clove a SPAWN enters in the kernel, and how often the packages of launches.

`python -m tools.spawn_modules [cold]` starts a kernel in this process, spawns one agent, and prints
the modules in which a function of theirs began for it: on the way of every request (a NOOP enters
them as well), and beyond that. A coroutine that goes on after a wait is not entered again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from types import FrameType
from typing import Any

import clove
from clove import CloveClient
from tests.integration.inner_kernel import InnerKernel, run_kernel

__all__ = ["Entries", "main"]

LIBRARY = os.path.dirname(os.path.realpath(clove.__file__)) + os.sep
SLEEP = "import time\ntime.sleep(1000)\n"
WARM_SECONDS = 5.0


def module_of(frame: FrameType | None) -> str:
    """The module of Clove that the nearest frame is in, without its first part; "" for none."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(LIBRARY):
            return path.removeprefix(LIBRARY).removesuffix(".py").replace(os.sep, ".")
        frame = frame.f_back
    return ""


class Entries:
    """Calls from one module into another, while it counts.

    @ivar calls: how often, by both modules and the function.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._counting = False
        self._seen: list[FrameType] = []
        self._ids: set[int] = set()

    def trace(self, frame: FrameType, event: str, argument: Any) -> None:
        """For L{sys.setprofile}."""
        if not self._counting or event != "call" or id(frame) in self._ids:
            return
        if not frame.f_code.co_filename.startswith(LIBRARY):
            return
        self._seen.append(frame)  # so that no other one has its id
        self._ids.add(id(frame))
        caller, entered = module_of(frame.f_back), module_of(frame)
        if caller != entered:
            self.calls[caller, entered, frame.f_code.co_qualname] += 1

    def count(self, function: Any, *args: Any, **named: Any) -> Counter[tuple[str, str, str]]:
        """The calls while a client does something."""
        self.calls = Counter()
        self._counting = True
        try:
            function(*args, **named)
        finally:
            self._counting = False
            self._seen.clear()
            self._ids.clear()
        return self.calls

    def modules(self) -> set[str]:
        """Those that were entered."""
        return {entered for _, entered, _ in self.calls}

    def into(self, package: str) -> int:
        """How often a package was entered from outside of it."""
        prefix = f"{package}."
        return sum(
            times
            for (caller, entered, _), times in self.calls.items()
            if entered.startswith(prefix) and not caller.startswith(prefix)
        )


def measure(socket: str, script: str, entries: Entries, *, warm: bool) -> dict[str, Any]:
    """What one SPAWN enters. In a thread that is not traced."""
    sys.setprofile(None)
    with CloveClient(socket) as client:
        end = time.monotonic() + WARM_SECONDS
        while not client.spawn("first", script, warm=warm)["warm"] and warm:
            client.kill("first")
            if time.monotonic() > end:
                break
        client.kill("first")
        time.sleep(0.5)  # until what follows an end is done
        entries.count(client.noop)
        usual = entries.modules()
        entries.count(client.spawn, "counted", script, warm=warm)
        found = {
            "usual": sorted(entries.modules() & usual),
            "own": sorted(entries.modules() - usual),
            "launch": entries.into("kernel.launch"),
            "calls": sorted(map(str, entries.calls.items())),
        }
        client.kill("counted")
    return found


def main(*, warm: bool = True) -> dict[str, Any]:
    """Start a kernel, and measure."""
    entries = Entries()
    results: list[dict[str, Any]] = []

    async def work(kernel: InnerKernel) -> None:
        script = kernel.file("agent.py", SLEEP)
        results.append(await kernel.in_thread(measure, kernel.socket, script, entries, warm=warm))

    threading.setprofile(entries.trace)
    sys.setprofile(entries.trace)
    try:
        run_kernel(work)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return results[0]


if __name__ == "__main__":
    measured = main(warm="cold" not in sys.argv[1:])
    for kind in ("usual", "own"):
        print(f"{len(measured[kind])} modules, {kind}:", *measured[kind])
    print("kernel.launch was entered", measured["launch"], "times")
