"""C{clove deploy aws} and C{gcp} as a command runs them, with a cloud, a relay and a bundle that are files."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from pathlib import Path

from clove.deploy.bundle import Bundle, Target
from clove.deploy.cloud import steps
from tests.cloud.command import run_command, use_relay

__all__ = ["install_terraform", "main"]


def install_terraform(directory: Path) -> dict[str, str]:
    """Put the fake as C{terraform} into a directory, and its cloud beside; what the environment has for that."""
    program = directory / "bin" / "terraform"
    program.parent.mkdir()
    fake = Path(__file__).with_name("fake_terraform.py")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I {fake} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{program.parent}:{os.environ['PATH']}"
    return {"PATH": path, "CLOVE_FAKE_CLOUD": str(directory / "cloud")}


def small_bundle(directory: Path, target: Target) -> Bundle:
    """A file in place of a bundle, which takes seconds to make."""
    path = directory / f"clove-0-{target.name}.tar.gz"
    path.write_bytes(b"bundle of Clove")
    return Bundle(path, target, "0", hashlib.sha256(path.read_bytes()).hexdigest())


def main() -> None:
    """The command."""
    steps.make_bundle = small_bundle  # type: ignore[assignment, attr-defined]
    use_relay()
    run_command()


if __name__ == "__main__":
    main()
