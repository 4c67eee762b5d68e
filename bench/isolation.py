"""What a healthy client feels while four agents misbehave at once.

`python -m bench.isolation [--json] [--seconds S] [--smoke]`

One agent spins, one allocates without end, one forks without end, and one ends
by a signal again and again. A client beside them measures NOOP round trips,
first in peace and then with all four. The model is the offline one; nothing
leaves the machine.

On a host without cgroup controllers nothing holds an agent's memory but its
own address space limit, so the scripts carry a ceiling of their own: this is a
measurement, not an attack on the machine that runs it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.servers import Unavailable, cpu_seconds, kernel, workplace
from bench.wire import Client
from clove.framing import Opcode

__all__ = ["main"]

SCRIPTS = {
    "spins": "while True:\n    pass\n",
    "allocates": (
        "held = []\n"
        "while len(held) < 512:\n"  # 512 x 4 MiB: eight times what it may have
        "    held.append(b'x' * (4 << 20))\n"
        "while True:\n    held[0] += b'x'\n"
    ),
    "forks": (
        "import os, time\n"
        "children = 0\n"
        "while True:\n"
        "    try:\n"
        "        if children < 400 and os.fork() == 0:\n"
        "            time.sleep(600)\n"
        "        children += 1\n"
        "    except OSError:\n"
        "        time.sleep(0.001)\n"
    ),
    "dies": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
}
LIMITS = {"memory": 256 << 20, "max_pids": 64, "cpu_quota": 50_000, "cpu_period": 100_000}


def summary(times: list[float]) -> dict[str, float]:
    """Number, median, 99th percentile and longest."""
    ordered = sorted(times)
    return {
        "round_trips": len(ordered),
        "p50_us": ordered[len(ordered) // 2],
        "p99_us": ordered[int(len(ordered) * 0.99)],
        "max_us": ordered[-1],
    }


def run(seconds: float) -> dict[str, Any]:
    """Both measurements and how the four fared.

    @raise Unavailable: the kernel does not come up.
    """
    with workplace() as directory, kernel(directory) as (path, pid):
        client = Client(path)
        try:
            client.round_trips(min(seconds, 0.5))
            alone = summary(client.round_trips(seconds))
            agents = {name: _spawn(client, directory, name) for name in SCRIPTS}
            used = cpu_seconds(pid)
            beside = summary(client.round_trips(seconds))
            used = cpu_seconds(pid) - used
            states = {agent["name"]: agent for agent in client.request(Opcode.LIST)}
            for name, agent in agents.items():
                state = states.get(name, {})
                agent["state"] = state.get("state", "gone")
                agent["restarts"] = state.get("restarts", 0)
                started = time.perf_counter()
                if agent["success"]:
                    client.request(Opcode.KILL, name=name)
                agent["kill_ms"] = (time.perf_counter() - started) * 1e3
        finally:
            client.close()
    return {"alone": alone, "beside": beside, "kernel_cpu_s": used, "agents": agents}


def _spawn(client: Client, directory: Path, name: str) -> dict[str, Any]:
    script = directory / f"{name}.py"
    script.write_text(SCRIPTS[name])
    reply = client.request(
        Opcode.SPAWN,
        name=name,
        script=str(script),
        sandboxed=True,
        allow_degraded=True,
        limits=LIMITS,
        restart_policy="always" if name == "dies" else "never",
    )
    return {
        "success": reply["success"],
        "isolation": reply.get("isolation", {}),
        "error": reply.get("error", ""),
    }


def show(result: dict[str, Any]) -> None:
    """The numbers, for a person."""
    print("NOOP round trips of a healthy client, in microseconds:")
    for phase, title in (("alone", "in peace"), ("beside", "beside all four")):
        numbers = result[phase]
        print(
            f"  {title:16} p50 {numbers['p50_us']:8.0f}   p99 {numbers['p99_us']:8.0f}"
            f"   max {numbers['max_us']:9.0f}   ({numbers['round_trips']} trips)"
        )
    print("The four:")
    for name, agent in result["agents"].items():
        if not agent["success"]:
            print(f"  {name:10} did not start: {agent['error']}")
            continue
        why = agent["isolation"].get("degraded_reason") or "nothing is missing"
        print(
            f"  {name:10} {agent['state']}, {agent['restarts']} restarts,"
            f" gone {agent['kill_ms']:.0f} ms after KILL; isolation: {why}"
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when something needed is missing or an agent did not start."""
    parser = argparse.ArgumentParser(
        prog="bench.isolation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", action="store_true", help="print a record, not a text")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each phase (5)")
    parser.add_argument("--smoke", action="store_true", help="short phases")
    options = parser.parse_args(arguments)
    try:
        result = run(0.5 if options.smoke else options.seconds)
    except Unavailable as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 0 if all(agent["success"] for agent in result["agents"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
