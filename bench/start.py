"""How long a kernel takes to start, what it takes while nothing is connected, and its first agents.

`python -m bench.start [--json] [--rounds N] [--smoke]`

A start is measured from the execution of twistd to the reply to the first NOOP, as a default
installation, with compiled modules and files in memory: a first start that does not count makes both.
The first agents are asked for as soon as that reply is there, one after the other without a pause; each ends by
itself. The very first waits for the zygote: it is in the row, and told beside it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.alone import command, report
from bench.figures import Figure, Spread
from bench.fixture import Clove, Fixture
from bench.leaks import adopt_orphans, descendants
from bench.servers import Unavailable
from bench.wire import Client
from clove.framing import Opcode

__all__ = ["main", "run"]

ANSWER_BAR = 250.0
MEMORY_BAR = 45.0
TAIL_BAR = 3.0
"""The 99th percentile, in medians."""
PATIENCE = 30.0
"""Seconds that a kernel has for its first answer."""
SETTLED = 3.0
"""Seconds after which a kernel that nothing has asked is settled: its zygote's child has warmed up by then."""
TWISTD = str(Path(sys.executable).with_name("twistd"))
LEFT_OUT = {"PYTHONDONTWRITEBYTECODE", "GEMINI_API_KEY", "GOOGLE_API_KEY"}


@dataclass(frozen=True)
class Amounts:
    """How many of each are measured.

    @ivar starts: of kernels.
    @ivar firsts: of these, kernels that have their first agents measured.
    @ivar row: agents in a row, of each: of fewer than a hundred the 99th percentile is the longest.
    """

    starts: int = 20
    firsts: int = 5
    row: int = 300


SMOKE = Amounts(starts=2, firsts=1, row=4)


@dataclass(frozen=True)
class Started:
    """A kernel that has just answered for the first time.

    @ivar wall: milliseconds until then.
    @ivar cpu: milliseconds of processor time of its process.
    """

    path: str
    process: subprocess.Popen[bytes]
    state: Path
    wall: float
    cpu: float


@contextmanager
def started() -> Iterator[Started]:
    """A kernel of a default installation, but for where its files are.

    @raise Unavailable: it does not come up.
    """
    env = {name: text for name, text in os.environ.items() if name not in LEFT_OUT}
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="cs") as directory:
        path, state, log = f"{directory}/s", Path(directory, "state"), Path(directory, "log")
        command = [
            TWISTD,
            "-n",
            "--pidfile=",
            "clove-kernel",
            "--socket",
            path,
            "--state-dir",
            str(state),
        ]
        with log.open("wb") as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
            )
        try:
            client = _first_answer(process, path, log)
            wall = (time.perf_counter() - began) * 1e3
            client.close()
            yield Started(path, process, state, wall, processor_ms(process.pid))
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _first_answer(process: subprocess.Popen[bytes], path: str, log: Path) -> Client:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            client = Client(path)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.001)
            continue
        client.call(Opcode.NOOP)
        return client
    raise Unavailable(f"it did not come up:\n{log.read_text(errors='replace')[-4000:]}")


def processor_ms(pid: int) -> float:
    """Milliseconds of processor time that a process has used."""
    tasks = Path(f"/proc/{pid}/task")
    times = [int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()]
    return sum(times) / 1e6


def starts(count: int, step: Callable[[], None]) -> list[Figure]:
    """From execution to the first answer."""
    walls, cpu = [], []
    for _ in range(count):
        with started() as kernel:
            walls.append(kernel.wall)
            cpu.append(kernel.cpu)
        step()
    spread = Spread.of(walls)
    return [
        Figure("start to first answer, p50", spread.p50, "ms", ANSWER_BAR),
        Figure("start to first answer, shortest", min(walls)),
        Figure("start to first answer, max", spread.most),
        Figure("start to first answer, processor time", min(cpu), note="the least"),
    ]


def idle_memory() -> list[Figure]:
    """What a kernel takes that nothing is connected to, and what its other processes do.

    @raise Unavailable: we may not look at one of them.
    """
    with started() as kernel:
        time.sleep(SETTLED)
        found = {"kernel": memory(kernel.process.pid)}
        for pid, zombie in descendants():
            if not zombie and pid != kernel.process.pid:
                name, (rss, pss) = _name(pid), memory(pid)
                had = found.get(name, (0.0, 0.0))
                found[name] = had[0] + rss, had[1] + pss
    rss, pss = found.pop("kernel")
    others = [Figure(f"idle, {name}, PSS", one[1], "MB") for name, one in sorted(found.items())]
    return [
        Figure("idle kernel, RSS", rss, "MB", MEMORY_BAR),
        Figure("idle kernel, PSS", pss, "MB"),
        *others,
    ]


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    known = {"clove.llm.service": "LLM service", "zygote": "zygote and its child"}
    return next((name for part, name in known.items() if any(part in w for w in words)), "others")


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional set size of a process, MB.

    @raise Unavailable: we may not look at it.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except PermissionError:
        raise Unavailable("only root sees how much memory a kernel holds") from None
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    return kilobytes["Rss"] * 1024 / 1e6, kilobytes["Pss"] * 1024 / 1e6


def first_agents(kernels: int, row: int, step: Callable[[], None]) -> list[Figure]:
    """The first agents of kernels that have just started, from SPAWN to the first reply."""
    rows: list[list[float]] = []
    cold = 0
    for _ in range(kernels):
        with started() as kernel:
            times, began_cold = _row(kernel, row)
        rows.append(times)
        cold += began_cold
        step()
    every = Spread.of([took for times in rows for took in times])
    first = statistics.median(times[0] for times in rows)
    spreads = [Spread.of(times) for times in rows]
    ratio = statistics.median(one.p99 / one.p50 for one in spreads)
    note = f"{cold} of {kernels * row} started cold"
    return [
        Figure("first agent after a start, first reply, p50", first),
        Figure("first agent after a start / those in a row, p50", first / every.p50, ""),
        Figure(f"{row} in a row from the first on, first reply, p50", every.p50),
        Figure(f"{row} in a row from the first on, first reply, p99", every.p99, note=note),
        Figure(f"{row} in a row from the first on, p99 / p50", ratio, "", TAIL_BAR),
    ]


def _row(kernel: Started, count: int) -> tuple[list[float], int]:
    """Milliseconds of each first reply, and how many started cold."""
    operator, mailbox = Client(kernel.path), Client(kernel.path)
    try:
        mailbox.request(Opcode.REGISTER, name="bench")
        fixture = Fixture(
            kernel.path, kernel.process.pid, kernel.state, operator, mailbox, iter(range(count))
        )
        way = Clove(fixture, True)
        return [fixture.first_reply(way, "go")[1] for _ in range(count)], way.started_cold
    finally:
        operator.close()
        mailbox.close()


def run(amounts: Amounts, step: Callable[[], None] = lambda: None) -> list[Figure]:
    """Measure everything.

    @param step: called after each kernel.
    @raise Unavailable: a kernel does not come up.
    @raise Failed: it does not do what is asked.
    """
    adopt_orphans()
    with started():
        pass
    figures = starts(amounts.starts, step)
    try:
        figures += idle_memory()
    except Unavailable as error:
        figures.append(Figure("idle kernel, RSS", None, "MB", MEMORY_BAR, str(error)))
    return figures + first_agents(amounts.firsts, amounts.row, step)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when something needed is missing."""
    parser = command("bench.start", __doc__, Amounts.starts, "starts of kernels")
    options = parser.parse_args(arguments)
    amounts = SMOKE if options.smoke else Amounts(starts=options.rounds)
    title = "A kernel: start, memory, first agents"
    return report(title, lambda: run(amounts), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
