"""Kill relays and stop the database under load, and compare what was acknowledged with what was executed.

make relay-faults RUNS=10 SECONDS=40 SEED=8
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections import Counter

from clove import CloveClient
from tests.faults.load import Load
from tests.faults.stage import MISSING, Stage, enclose, stage

__all__ = ["run"]

DATABASE_SECONDS = 10.0


def _disturb(found: Stage, dice: random.Random, seconds: float) -> list[str]:
    """Each relay is killed once at least, and the database stopped once, at random points."""
    told = []
    end = time.monotonic() + seconds
    faults = ["first", "second", "database"]
    dice.shuffle(faults)
    while time.monotonic() < end or faults:
        time.sleep(dice.uniform(0.5, 3.0))
        fault = faults.pop() if faults else dice.choice(["first", "second"])
        if fault == "database":
            found.server.stop()
            time.sleep(DATABASE_SECONDS)
            found.server.start()
        else:
            node = found.nodes[fault == "second"]
            node.kill()
            time.sleep(dice.uniform(0.0, 4.0))
            node.fleet.start()
        told.append(fault)
    return told


def _executed_wrongly(found: Stage, load: Load) -> list[str]:
    """What was lost or done twice."""
    wrong = []
    with CloveClient(found.kernel.socket) as operator:
        names = Counter(entry["name"] for entry in operator.list_agents(all=True))
        ids = {entry["id"]: entry["name"] for entry in operator.list_agents(all=True)}
        for key in load.asked["deploy"]:
            if names[key] != 1:
                wrong.append(f"{key} was started {names[key]} times")
            elif ids.get(load.deployed.get(key, -1)) != key:
                wrong.append(f"{key} was acknowledged as another agent")
        for name in load.asked["store"]:
            kept = operator.fetch(name)
            if name in load.acknowledged["store"] and not kept["exists"]:
                wrong.append(f"{name} was acknowledged and is lost")
            if kept["exists"] and kept["version"] != 1:
                wrong.append(f"{name} was stored {kept['version']} times")
    for name in load.asked["send"]:
        if name in load.acknowledged["send"] and not load.received[name]:
            wrong.append(f"{name} was acknowledged and is lost")
        if load.received[name] > 1:
            wrong.append(f"{name} came {load.received[name]} times")
    return wrong


def run(seconds: float, seed: int) -> bool:
    """One run; whether nothing was wrong."""
    dice = random.Random(seed)
    with stage() as found:
        load = Load(found, seed)
        load.start()
        faults = _disturb(found, dice, seconds)
        found.await_whole()
        load.finish()
        wrong = load.wrong + _executed_wrongly(found, load)
    acknowledged = {kind: len(names) for kind, names in load.acknowledged.items()}
    unknown = {kind: len(load.asked[kind]) - count for kind, count in acknowledged.items()}
    errors = {f"{kind}: {code}": count for (kind, code), count in sorted(load.errors.items())}
    print(
        f"seed {seed}: {' '.join(faults)}; acknowledged {len(load.deployed)} deploys, "
        f"{acknowledged['store']} stores, {acknowledged['send']} sends; not acknowledged {unknown}; "
        f"errors {errors}; wrong {len(wrong)}",
        flush=True,
    )
    for each in wrong[:20]:
        print(f"  {each}", flush=True)
    return not wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=8)
    given = parser.parse_args()
    if MISSING:
        print(f"skipped: {MISSING}")
        return
    enclose("tests.faults.relays", sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    good = [run(given.seconds, given.seed + number) for number in range(given.runs)]
    print(f"{sum(good)} of {len(good)} runs without anything lost or done twice")
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
