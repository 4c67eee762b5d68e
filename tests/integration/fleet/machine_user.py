"""What a user types about a machine of a relay."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.fleet.fleet_processes import Fleet, Ran, clove_process

__all__ = ["MAIN", "clove", "home_with", "on", "run_there", "started"]

MAIN = "from clove.cli.main import main; main()"


def clove(fleet: Fleet, *words: str, typed: str = "", **environ: str) -> Ran:
    return clove_process(fleet, *words, typed=typed, **environ)


def on(fleet: Fleet, *words: str, typed: str = "") -> Ran:
    return clove(fleet, "--context", "/build-7", *words, typed=typed)


def run_there(fleet: Fleet, *words: str, typed: str = "") -> Ran:
    return clove(fleet, "agent", "run", "--machine", "build-7", *words, typed=typed)


def started(
    fleet: Fleet, *words: str, stdin: int, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A command that runs, with its standard output by a pipe.

    @param environ: instead of ours with the fleet's context.
    """
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ or {**os.environ, **fleet.commands_environ()},
    )


def home_with(directory: Path, rest_port: int, hub_port: int, token: str) -> str:
    """A home with a context for a relay at these ports."""
    path = directory / "home/.clove/config.yaml"
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(0o600)
    path.write_text(
        "current: other\ncontexts:\n  other:\n"
        f"    relay: http://127.0.0.1:{rest_port}\n    hub: ws://127.0.0.1:{hub_port}\n"
        f"    token: {token}\n"
    )
    return str(path.parents[1])
