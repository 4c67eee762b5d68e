"""The environment of the programs that make a release (`.venv-release`), by hash as everything else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from tools.release.tree import TREE

__all__ = ["release_python"]

LOCK = TREE / "requirements-release.lock"


def release_python() -> Path:
    """The Python that has them; the environment is made when it is not there, or not of this lock.

    @raise subprocess.CalledProcessError: pip could not; it has said why.
    """
    directory = TREE / ".venv-release"
    python = directory / "bin/python"
    key = hashlib.sha256(f"{sys.version}\n{LOCK.read_text()}".encode()).hexdigest()
    mark = directory / ".clove-release"
    if mark.exists() and mark.read_text() == key:
        return python
    print("Making .venv-release (requirements-release.lock) ...", file=sys.stderr)
    venv.create(directory, clear=True, with_pip=True)
    words = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps"]
    words += ["--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)]
    subprocess.run(words, check=True)
    mark.write_text(key)
    return python
