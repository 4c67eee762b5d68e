"""Fresh installations, for `make test-install`; they take a minute each and need a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.newer_releases import make_index

collect_ignore_glob = [] if "CLOVE_TEST_INSTALL" in os.environ else ["test_*.py"]

ROOT = Path(__file__).resolve().parents[2]
PARTS = ["clove", "twisted", "examples", "tools", "setup.cfg", "pyproject.toml", "README.md"]
PARTS += ["LICENSE", "MANIFEST.in", "deploy", "requirements.lock", "requirements-dev.lock"]
PARTS += ["requirements-bundle.lock"]
OLD_PIP = (
    "pip==23.0.1 --hash=sha256:236bcb61156d76c4b8a05821b988c7b8c35bf0da28a4b614e8d6ab5212c25c6f\n"
)
"""Debian 12's."""


@dataclass(frozen=True)
class Tree:
    """A copy of the project that has no .venv yet."""

    place: Path
    variables: dict[str, str]

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, with the index of newer releases; output and errors in one."""
        return subprocess.run(
            command,
            cwd=self.place,
            env=self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the pip of its .venv."""
        python = str(self.place / ".venv/bin/python")
        return self.run(python, "-m", "pip", "--disable-pip-version-check", *arguments)


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a newer release of every locked package."""
    place = tmp_path_factory.mktemp("newer")
    assert "google-auth" in make_index(place)
    return place


@pytest.fixture
def tree(tmp_path: Path, newer: Path) -> Tree:
    place = tmp_path / "tree"
    place.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=ignored)
        else:
            shutil.copy(source, place / name)
    unwanted = ("PYTHON", "VIRTUAL_ENV", "CLOVE_UNLOCKED", "PIP_REQUIRE_HASHES")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(unwanted)}
    return Tree(place, kept | {"PIP_FIND_LINKS": str(newer), "PYTHON": sys.executable})


@pytest.fixture(scope="session")
def old_pip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python whose virtual environments have pip 23.0.1, as Debian 12's have."""
    if sys.version_info >= (3, 12):
        pytest.skip("pip 23.0.1 does not run on Python 3.12 and newer")
    place = tmp_path_factory.mktemp("pip")
    (place / "wanted").write_text(OLD_PIP)
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "--no-deps"]
    fetched = subprocess.run(
        [*fetch, "-d", str(place), "-r", str(place / "wanted")], capture_output=True, check=False
    )
    if fetched.returncode:
        pytest.skip("no package index can be reached that has pip 23.0.1")
    (wheel,) = place.glob("pip-*.whl")
    wrapper = place / "python"
    wrapper.write_text(
        f'#!/bin/sh\n"{sys.executable}" "$@" || exit\n[ "$1 $2" != "-m venv" ] ||'
        f' "$3/bin/python" -m pip install -q --no-index --no-deps "{wheel}"\n'
    )
    wrapper.chmod(0o755)
    return str(wrapper)
