"""A command that makes things step by step, killed at every point, and run again.

A point is what a process does to the world or its journal: a program that it starts, a connection that it makes, a
file that it renames or removes. SIGKILL comes just before that, so between an effect and its record too. What the
command is, and what the world has in the end, the caller says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CLOVE", "Deployment", "Ran", "check_killed_everywhere", "run_killed"]

CLOVE = "from clove.cli.main import main; main()"
_ROOT = Path(__file__).parents[2]
_DRIVER = """
import os, signal, sys
point, counted, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
kinds = {"subprocess.Popen", "socket.connect", "os.rename", "os.remove", "os.rmdir"}
state = {"armed": False, "count": 0}
def watch(event, arguments):
    if state["armed"] and event in kinds:
        state["count"] += 1
        if state["count"] == point:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
sys.argv[1:] = words
import clove.cli.main, clove.client.fleet, clove.deploy.engine, clove.deploy.enrol
state["armed"] = True
try:
    exec(os.environ["CLOVE_KILL_CODE"])
finally:
    state["armed"] = False
    with open(counted, "w") as file:
        file.write(str(state["count"]))
"""


class Ran(NamedTuple):
    """What a command has said.

    @ivar points: that it had; 0: it was killed.
    """

    status: int
    stdout: str
    stderr: str
    points: int

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


def run_killed(
    words: Sequence[str],
    point: int,
    tmp_path: Path,
    environ: Mapping[str, str],
    *,
    code: str = CLOVE,
    timeout: float = 120.0,
) -> Ran:
    """Run a command until its point of this number, counted from 1; 0: to its end.

    @param words: its arguments.
    @param environ: what it has besides ours.
    @param code: Python that has them in C{sys.argv[1:]}.
    """
    counted = tmp_path / "points"
    counted.unlink(missing_ok=True)
    found = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(point), str(counted), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environ, "CLOVE_KILL_CODE": code, "PYTHONPATH": str(_ROOT)},
        timeout=timeout,
        check=False,
    )
    points = int(counted.read_text()) if counted.exists() else 0
    return Ran(found.returncode, found.stdout, found.stderr, points)


class Deployment(NamedTuple):
    """What is killed.

    @ivar words: of the command that makes it.
    @ivar undo: of the one that takes it away.
    @ivar world: what there is of it, without what differs from one to the next (ids, addresses, times); None or
        empty: nothing at all.
    @ivar environ: of both commands.
    @ivar prepare: is called before each run of the command that makes it, as something that makes it quicker.
    """

    words: Sequence[str]
    undo: Sequence[str]
    world: Callable[[], Any]
    tmp_path: Path
    environ: Mapping[str, str]
    code: str = CLOVE
    timeout: float = 120.0
    prepare: Callable[[], None] = lambda: None

    def run(self, words: Sequence[str], point: int = 0) -> Ran:
        """Run a command, killed at a point."""
        if words is self.words:
            self.prepare()
        return run_killed(
            words, point, self.tmp_path, self.environ, code=self.code, timeout=self.timeout
        )

    def finish(self, words: Sequence[str]) -> Ran:
        """Run it to its end, which is a good one."""
        ran = self.run(words)
        assert ran.status == 0, f"{ran.stdout}\n{ran.stderr}"
        return ran


def check_killed_everywhere(
    deployment: Deployment, points: Callable[[int], Iterable[int]] = lambda most: range(1, most + 1)
) -> int:
    """Killed at every point it comes to the same end when run again, and can be taken away; nothing is left.

    After every other kill it is run again, and taking it away is killed as well; after the others it is taken away.

    @param points: which ones of so many; all of them, where nothing else is said.
    @return: how many kills there were.
    """
    assert not deployment.world(), "there is something of it already"
    most = deployment.finish(deployment.words).points
    wanted = deployment.world()
    assert wanted, "it has made nothing"
    undo_most = deployment.finish(deployment.undo).points
    assert not deployment.world(), "it was not taken away"
    kills = 0
    for number, point in enumerate(points(most)):
        killed = deployment.run(deployment.words, point)
        kills += killed.killed
        if number % 2:
            undone = deployment.run(deployment.undo)  # an error, where nothing was begun
            when = f"taken away after a kill at point {point} of {most}"
            _compare(deployment.world(), None, when, killed, undone)
            continue
        made = deployment.finish(deployment.words)
        when = f"killed at point {point} of {most}"
        _compare(deployment.world(), wanted, when, killed, made)
        cut = (point - 1) % undo_most + 1
        cut_short = deployment.run(deployment.undo, cut)
        kills += cut_short.killed
        undone = deployment.run(
            deployment.undo
        )  # an error, where all was taken away before the kill
        when = f"taking it away was killed at point {cut} of {undo_most} (made after a kill at {point} of {most})"
        _compare(deployment.world(), None, when, cut_short, undone)
    return kills


def _compare(world: object, wanted: object, when: str, *runs: Ran) -> None:
    """Fail with both, and with what the commands before have said, since a run of minutes is not soon repeated."""
    said = "\n".join(f"exit code {ran.status}\n{ran.stdout}{ran.stderr}" for ran in runs)
    assert (world or None) == wanted, f"{when}: there is\n{world}\nand not\n{wanted}\n{said}"
