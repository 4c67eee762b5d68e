"""Fetch locked wheels for another machine, with pip: by hash, wheels alone, nothing resolved."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from clove.deploy.bundle.lock import Pin
from clove.deploy.bundle.target import Target
from clove.errors import Unavailable

__all__ = ["fetch_wheels"]


def fetch_wheels(pins: Sequence[Pin], target: Target, directory: Path) -> list[Path]:
    """Have pip fetch a wheel of each, from where pip is configured to look.

    @return: their paths, in the directory, by name.
    @raise Unavailable: there is no pip, or pip could not; says why.
    """
    if importlib.util.find_spec("pip") is None:
        raise Unavailable(
            f"{sys.executable} has no pip to fetch wheels with",
            hint="python3 -m ensurepip, or install Clove with pip or pipx",
        )
    wanted = directory / "wanted.txt"
    wanted.write_text("".join(pin.requirement() for pin in pins))
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    words += ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    words += [*target.pip_options(), "--dest", str(directory), "-r", str(wanted)]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    wanted.unlink()
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        why = (errors or done.stderr.splitlines() or ["it gave no reason"])[-1]
        raise Unavailable(
            f"pip cannot fetch the wheels for {target.name}: {why.removeprefix('ERROR: ')}",
            hint="`pip config list` says where pip looks; it needs that index, or --find-links",
        )
    wheels = sorted(directory.glob("*.whl"))
    if len(wheels) != len(pins):
        raise Unavailable(f"pip fetched {len(wheels)} wheels where {len(pins)} are locked")
    return wheels
