"""The hostile agent: attack after attack, some at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

from tests.soak.hostile.frame import SECONDS, TABLE, Random, W, Way

LANES = 2
"""Attacks at once."""
DONE, REFUSED, ENDED = "done", "refused", "ended"


def attempt(name: str, dice: Random, facts: dict[str, object]) -> int:
    """Begin an attack; its process."""
    seed = dice.getrandbits(64)
    child = os.fork()
    if child:
        return child
    status = 0
    try:
        os.setsid()
        signal.alarm(int(SECONDS) + 3)
        TABLE[name](Way(Random(seed), facts))
    except BaseException:  # what is refused ends the attack, and is what should happen
        status = 3
    os._exit(status)


def outcome(status: int) -> str:
    if os.WIFSIGNALED(status):
        return ENDED
    return REFUSED if os.WEXITSTATUS(status) else DONE


def main() -> None:
    facts = json.loads(sys.argv[-1])
    chosen = facts.get("only") or sorted(TABLE)
    dice = Random(facts["seed"])
    counts: dict[str, dict[str, int]] = {}
    running: dict[int, tuple[str, float]] = {}
    waiting: list[str] = facts["first"]
    while True:
        if not waiting:
            waiting = list(chosen)
            dice.shuffle(waiting)
        if len(running) < LANES:
            with contextlib.suppress(OSError):
                name = waiting[-1]
                running[attempt(name, dice, facts)] = (name, time.monotonic() + SECONDS + 1)
                waiting.pop()
        time.sleep(0.02)
        for child, (name, end) in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if not done:
                if time.monotonic() > end:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child, signal.SIGKILL)
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what it left
            del running[child]
            of_it = counts.setdefault(name, {})
            of_it[outcome(status)] = of_it.get(outcome(status), 0) + 1
            with contextlib.suppress(OSError):
                with open(f"{W}/counts.new", "w") as file:
                    json.dump(counts, file)
                os.replace(f"{W}/counts.new", f"{W}/soak-counts.json")


if __name__ == "__main__":
    main()
