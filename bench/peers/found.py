"""Which peers this machine has: a server's command line, or what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import Unavailable, running
from tools import fast_venv

__all__ = [
    "ECHOES",
    "Peer",
    "compiled_twistd",
    "directory",
    "environment_python",
    "redis",
    "serving",
    "versions",
]

HERE = Path(__file__).parent
MISSING = "{} is not there (make bench-peers fetches it)"


@dataclass(frozen=True)
class Peer:
    """A server that listens on a Unix socket.

    @ivar command: its command line, to which the socket's path is to be added.
    @ivar variables: of its environment, beside ours.
    """

    name: str
    command: list[str]
    variables: dict[str, str] = field(default_factory=dict)


def directory() -> Path:
    """Where `python -m bench.peers` puts what it fetches."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache, "clove", "bench-peers")


def environment_python(name: str) -> Path:
    """The interpreter of a peer's own environment.

    @raise Unavailable: it is not there.
    """
    python = directory() / name / "bin" / "python"
    if not python.exists():
        raise Unavailable(MISSING.format(name))
    return python


def _echo(name: str, python: str | Path, module: str) -> Peer:
    """One of the servers beside this module; it needs nothing of Clove's, only where they are."""
    command = [str(python), "-m", f"bench.peers.{module}"]
    return Peer(name, command, {"PYTHONPATH": str(HERE.parent.parent)})


def _twisted() -> Peer:
    return _echo("bare Twisted", sys.executable, "twisted_echo")


def _asyncio() -> Peer:
    return _echo("asyncio", sys.executable, "asyncio_echo")


def _uvloop() -> Peer:
    return _echo("uvloop", environment_python("uvloop"), "uvloop_echo")


ECHOES = (_twisted, _uvloop, _asyncio)
"""Each gives a peer that answers frames as the C echo does, or raises Unavailable."""


def redis() -> Peer:
    """Redis without persistence; it speaks its own protocol.

    @raise Unavailable: it is not there.
    """
    own = directory() / "redis" / "usr"
    variables = {}
    program = shutil.which("redis-server") or str(own / "bin" / "redis-server")
    if program.startswith(str(own)):
        variables["LD_LIBRARY_PATH"] = ":".join(map(str, sorted(own.glob("lib/*-linux-*"))))
    if not os.path.exists(program):
        raise Unavailable(MISSING.format("redis"))
    options = ["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]
    return Peer("Redis", [program, *options], variables)


@contextmanager
def serving(peer: Peer, place: Path) -> Iterator[tuple[str, int]]:
    """Have one run; its socket's path and its pid.

    @raise Unavailable: it does not come up.
    """
    word = re.sub(r"\W", "-", peer.name)
    path = str(place / f"{word}.sock")
    command = [*peer.command, path]
    with running(command, path, place / f"{word}.log", peer.variables) as process:
        yield path, process.pid


def compiled_twistd() -> Path:
    """What starts a kernel with the compiled part of this very tree (docs/compiled.md).

    @raise Unavailable: it was not built, or for another tree.
    """
    mark = fast_venv.DIRECTORY / ".clove-fast"
    if not mark.exists() or mark.read_text() != fast_venv.key():
        raise Unavailable(MISSING.format("the compiled part of this tree"))
    return fast_venv.DIRECTORY / "bin" / "twistd"


def versions() -> dict[str, str]:
    """Of the peers that are there, by name."""
    found = {}
    for name in ("uvloop", "litellm"):
        program = f"from importlib.metadata import version; print(version({name!r}))"
        try:
            found[name] = _said([str(environment_python(name)), "-I", "-c", program])
        except Unavailable:
            continue
    try:
        server = redis()
    except Unavailable:
        pass
    else:
        said = _said([server.command[0], "--version"], server.variables)
        found["redis"] = said.partition("v=")[2].partition(" ")[0]
    if bubblewrap := shutil.which("bwrap"):
        found["bubblewrap"] = _said([bubblewrap, "--version"]).rpartition(" ")[2]
    return found


def _said(command: list[str], variables: dict[str, str] | None = None) -> str:
    env = {**os.environ, **(variables or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return done.stdout.strip()
