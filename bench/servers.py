"""Start what is measured: the real kernel and the reference server, each in its own process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "Unavailable",
    "build",
    "cpu_nanoseconds",
    "echo_server",
    "kernel",
    "running",
    "started",
    "workplace",
]

TOOLS = Path(__file__).parent / "tools"
TWISTD = Path(sys.executable).parent / "twistd"
READY_SECONDS = 30.0
OFFLINE = '[llm]\nprovider = "offline"\n'


class Unavailable(Exception):
    """Something that the measurement needs is not on this machine."""


def build(sources: Path = TOOLS, into: Path | None = None) -> dict[str, Path]:
    """Compile the load tools that are not up to date; their paths by name.

    @raise Unavailable: no C compiler, or it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    target = into or TOOLS / "bin"
    target.mkdir(parents=True, exist_ok=True)
    made = {}
    for source in sorted(sources.glob("*.c")):
        program = target / source.stem
        made[source.stem] = program
        if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
            continue
        if compiler is None:
            raise Unavailable("no C compiler (apt-get install gcc libc6-dev)")
        command = [compiler, "-O2", "-w", "-pthread", "-o", str(program), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"{source} does not compile: {done.stderr}")
    if not made:
        raise Unavailable(f"no sources in {sources}")
    return made


@contextmanager
def workplace() -> Iterator[Path]:
    """A directory with a path that is short enough for Unix sockets; removed at the end."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="cb") as directory:
        yield Path(directory)


@contextmanager
def started(
    command: list[str], log: Path, variables: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Have a program run in the block.

    @param log: takes its output; it runs in the directory of that.
    @param variables: of its environment, beside ours.
    """
    env = {**os.environ, **(variables or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent, env=env
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running(
    command: list[str], path: str, log: Path, variables: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Have a server run in the block, as L{started} does.

    @param path: of the Unix socket on which it listens when it is ready.
    @raise Unavailable: it does not come up.
    """
    with started(command, log, variables) as process:
        _await(process, path, log)
        yield process


def _await(process: subprocess.Popen[bytes], path: str, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.01)
    raise Unavailable(f"it did not come up:\n{log.read_text(errors='replace')[-4000:]}")


@contextmanager
def echo_server(program: Path, directory: Path) -> Iterator[str]:
    """The reference server; gives its socket's path."""
    path = str(directory / "echo.sock")
    with running([str(program), path], path, directory / "echo.log"):
        yield path


@contextmanager
def kernel(
    directory: Path,
    settings: str = "",
    model: str = OFFLINE,
    tree: Path | None = None,
    twistd: Path = TWISTD,
) -> Iterator[tuple[str, int]]:
    """A kernel as users run it; its socket's path and its pid.

    @param settings: more of its configuration, TOML.
    @param model: the configuration's first part, that of the language model.
    @param tree: where its modules are; None: where Python finds them.
    @param twistd: what starts it.
    """
    path = str(directory / "clove.sock")
    config = directory / "clove.toml"
    config.write_text(model + settings)
    command = [str(twistd), "-n", "--pidfile=", "clove-kernel", "--socket", path]
    command += ["--state-dir", str(directory / "state"), "--config", str(config)]
    variables = {"PYTHONPATH": str(tree)} if tree else None
    with running(command, path, directory / "kernel.log", variables) as process:
        yield path, process.pid


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_nanoseconds(pid: int) -> int:
    """CPU time that the threads of a process have used, to the nanosecond where Linux counts so."""
    threads = Path(f"/proc/{pid}/task")
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads.iterdir())
