"""Five hostile agents at all that they can think of, beside a healthy family and an operator.

    python -m tests.soak.run [--seconds 120] [--seed 8|random] [--who root|rootless]
        [--only ATTACK...]

`make soak` runs it (SOAK_SECONDS, SOAK_SEED, SOAK_WHO); CONTRIBUTING.md describes it. A kernel of its
own with its default limits; root makes it a network of its own that nothing leaves. What a seed fixes
is what each hostile agent tries in which order and the operator's doings; when things happen is the
machine's. Ends with `N passed, N failed` and its exit status.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.leaks import adopt_orphans
from bench.servers import Unavailable, build, echo_server
from bench.upstream import upstream
from clove import CloveClient
from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.conftest import KernelProcess
from tests.integration.exposed import ORDINARY, ROOT, ROOTLESS, OrdinaryKernel
from tests.soak.agents import CHILD, LATENCY, PARENT
from tests.soak.hostile import TABLE
from tests.soak.isolation import enclose, enclosed, silent_resolver
from tests.soak.left import Around, left_since, resident_mib
from tests.soak.operator import Operator
from tests.soak.program import hostile_program
from tests.soak.verdict import Seen, checks, logged_failures

DRAIN = 10.0
"""Seconds that a kernel may take to stop: the grace of its agents, and as much again."""
OWN_SESSION = ("setsid",)
"""Where Linux shares processors by session (sched(7), autogroup), the kernel's share is its own, as
that of a service is, and not that of whatever else runs in the session that the soak was begun in."""
SETTLE = 3.0
"""Seconds from the first agents to the first attack."""
SAMPLE = 0.25
"""Seconds between two looks at the kernel's memory and the attacks' counts."""


class Watch:
    """A thread that looks at the kernel's memory, and at what hostile agents count."""

    def __init__(self, pid: int, state: Path, seen: Seen, only: list[str]) -> None:
        self._only = only
        self._pid, self._state, self._seen = pid, state, seen
        self._ended = threading.Event()
        self._latest: dict[str, dict[str, dict[str, int]]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for counts in self._latest.values():
            for name, outcomes in counts.items():
                of_it = self._seen.counts.setdefault(name, {})
                for outcome, count in outcomes.items():
                    of_it[outcome] = of_it.get(outcome, 0) + count
        self._seen.untried = sorted(set(self._only or TABLE) - set(self._seen.counts))

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE):
            with contextlib.suppress(OSError):
                self._seen.rss.append(resident_mib(self._pid))
            for path in self._state.glob("agents/*/workspace/soak-counts.json"):
                with contextlib.suppress(OSError, ValueError):
                    self._latest[str(path)] = json.loads(path.read_text())


def scripts(place: Path) -> dict[str, Path]:
    """Write the programs that agents run."""
    texts = {"hostile": hostile_program(), "healthy": PARENT, "latency": LATENCY}
    texts["short"] = "import time\nprint('up', flush=True)\ntime.sleep(30)\n"
    paths = {name: place / f"{name}.py" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
        path.chmod(0o644)
    return paths


@contextlib.contextmanager
def place_for(who: str) -> Iterator[Path]:
    """A directory that the kernel's user owns."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="cs") as name:
        os.chmod(name, 0o755)
        if who == ROOTLESS and os.getuid() == 0:
            os.chown(name, ORDINARY, ORDINARY)
        yield Path(name)


def kernel_for(who: str, place: Path, config: str) -> KernelProcess:
    """Root's, or an ordinary user's."""
    environ = {"HOME": str(place)}
    if who == ROOTLESS and os.getuid() == 0:
        environ["PYTHONPATH"] = os.pathsep.join(PATHS)
        return OrdinaryKernel(str(place), config, environ, OWN_SESSION)
    return KernelProcess(str(place), config, environ, OWN_SESSION)


@contextlib.contextmanager
def echo(place: Path) -> Iterator[str]:
    """The path of the echo server's socket; "" where there is no C compiler."""
    try:
        program = build()["echo_ref"]
    except Unavailable as error:
        print(f"soak: no echo server to compare with: {error}", file=sys.stderr)
        yield ""
        return
    inside = shutil.copy(program, place / "echo_ref")
    with echo_server(Path(inside), place) as path:
        os.chmod(path, 0o666)
        yield path


def soak(who: str, seconds: float, seed: int, only: list[str], place: Path) -> Seen:
    """All of it."""
    seen = Seen()
    adopt_orphans()
    asked = silent_resolver() if enclosed() else None
    with upstream() as port, echo(place) as echo_path:
        facts: dict[str, Any] = {"names": asked is not None, "port": port, "only": only}
        facts["domains"] = ["*.silent.test", f"held.test:{port}"]
        config = '[egress.hosts]\n"held.test" = "127.0.0.1"\n[llm]\nprovider = "offline"\n'
        kernel = kernel_for(who, place, config)
        before = Around.now()
        kernel.start()
        try:
            with CloveClient(kernel.socket) as client:
                operator = Operator(client, seen, random.Random(seed), scripts(place), facts)
                run(operator, seen, kernel, seconds, echo_path, only)
        finally:
            stop(kernel, seen)
    if asked is not None:
        asked.close()
    seen.left = left_since(before, Path(kernel.state_dir))
    seen.faults = logged_failures(kernel.log)
    shutil.copy(place / "log", Path(tempfile.gettempdir(), f"soak-{who}.log"))
    return seen


def run(
    operator: Operator,
    seen: Seen,
    kernel: KernelProcess,
    seconds: float,
    echo: str,
    only: list[str],
) -> None:
    """From the first agent to the last answer of the healthy ones."""
    lasts = str(seconds + SETTLE)
    powers = {"can_spawn": True, "can_think": True, "can_exec": True}
    # Where the kernel's user cannot run this interpreter, the model's service has no packages.
    thinks = "" if isinstance(kernel, OrdinaryKernel) else "thinks"
    family = operator.healthy("healthy", CHILD, lasts, thinks, permissions=powers)
    latency = operator.healthy("latency", echo, lasts, sandboxed=False)
    time.sleep(SETTLE)
    end = time.monotonic() + seconds
    seen.preferred = preferred(kernel.pid)
    with Watch(kernel.pid, Path(kernel.state_dir), seen, only):
        while time.monotonic() < end and kernel.process and kernel.process.poll() is None:
            operator.act()
        seen.latency, seen.family = operator.printed(latency), operator.printed(family)


def preferred(pid: int) -> bool:
    """Whether nothing makes each session as weighty as the kernel's (sched(7), autogroup)."""
    try:
        return "nice -" in Path(f"/proc/{pid}/autogroup").read_text()
    except OSError:
        return True


def stop(kernel: KernelProcess, seen: Seen) -> None:
    """SIGTERM, while everything hostile goes on."""
    process = kernel.process
    assert process is not None
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        seen.exit_code = process.wait(3 * DRAIN)
        seen.stopped = time.monotonic() - start
    except subprocess.TimeoutExpired:
        process.kill()
        seen.exit_code = process.wait()


def show(seen: Seen, slack: float) -> int:
    """Print what was seen; 0 if every bar holds."""
    for name, outcomes in sorted(seen.counts.items()):
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"  {name.replace('_', ' '):50} {told}")
    passed = failed = skipped = 0
    for name, holds, words in checks(seen, DRAIN, slack):
        passed, failed, skipped = (
            passed + (holds is True),
            failed + (holds is False),
            skipped + (holds is None),
        )
        said = {True: "ok    ", False: "FAILED", None: "skip  "}[holds]
        print(f"{said} {name}{': ' if words else ''}{words}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return bool(failed)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests.soak.run", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", default="8", help="a number, or `random`")
    parser.add_argument(
        "--who", choices=[ROOT, ROOTLESS], default=ROOT if os.getuid() == 0 else ROOTLESS
    )
    parser.add_argument(
        "--slack",
        type=float,
        default=1.0,
        help="times that round trips, SPAWN, KILL may take longer",
    )
    parser.add_argument("--only", nargs="*", default=[], choices=sorted(TABLE), metavar="ATTACK")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed == "random" else int(options.seed)
    if options.who == ROOTLESS and os.getuid() == 0 and not unprivileged_python():
        print("0 passed, 0 failed, skipped: no interpreter that an ordinary user can run")
        return 0
    again = [f"--seconds={options.seconds}", f"--seed={seed}", f"--who={options.who}"]
    again += [f"--slack={options.slack}", "--only", *options.only]
    enclose("tests.soak.run", again)
    print(f"soak: {options.seconds:g} s, seed {seed}, a kernel of {options.who}", flush=True)
    with place_for(options.who) as place:
        seen = soak(options.who, options.seconds, seed, options.only, place)
    return show(seen, options.slack)


if __name__ == "__main__":
    sys.exit(main())
