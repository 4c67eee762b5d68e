"""The wheel of this very Clove: built from the checkout that runs, or packed again from what is installed."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import clove
from clove.deploy.bundle.archives import Member, digest, read_member, write_wheel
from clove.errors import Internal, Unavailable

__all__ = ["SOURCES", "checkout", "make_wheel"]

SOURCES: Final = (
    *("LICENSE", "MANIFEST.in", "README.md", "clove", "deploy", "pyproject.toml"),
    *("requirements-bundle.lock", "setup.cfg", "twisted"),
)
"""What of a checkout is in the wheel, or says what is."""
INSTALLERS_OWN: Final = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
"""What an installer adds to a C{.dist-info}, or makes anew."""


def checkout() -> Path | None:
    """The source tree that this Clove runs from, if it does."""
    tree = Path(clove.__file__).parents[1]
    return tree if all((tree / name).exists() for name in ("setup.cfg", "twisted")) else None


def make_wheel(directory: Path) -> Path:
    """Make the wheel of the Clove that runs.

    @return: its path, in the directory.
    @raise Unavailable: it cannot be built here, or what is installed is not what was installed.
    @raise OSError: something cannot be read or written.
    """
    tree = checkout()
    name, members = _installed() if tree is None else _built(tree)
    wheel = directory / name
    write_wheel(wheel, members)
    return wheel


def _built(tree: Path) -> tuple[str, dict[str, Member]]:
    """Have setuptools build it from a copy, so that nothing is left in the tree and nothing old is used."""
    with tempfile.TemporaryDirectory(prefix="clove-wheel-") as temporary:
        copy, out = Path(temporary, "tree"), Path(temporary, "out")
        copy.mkdir()
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "dropin.cache")
        for name in SOURCES:
            if (tree / name).is_dir():
                shutil.copytree(tree / name, copy / name, symlinks=True, ignore=ignored)
            else:
                shutil.copy(tree / name, copy / name)
        words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
        words += ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(out), str(copy)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(
                f"the wheel of this checkout cannot be built: {_last_line(done.stderr)}",
                hint="setuptools and pip are needed for that; `make venv` installs both",
            )
        (wheel,) = out.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return wheel.name, {
                each.filename: Member(archive.read(each), bool(each.external_attr >> 16 & 0o100))
                for each in archive.infolist()
                if not each.filename.endswith((".dist-info/RECORD", "/"))
            }


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason")


def _installed() -> tuple[str, dict[str, Member]]:
    """Pack what is installed, if it is what was installed: an altered file is not spread."""
    try:
        found = distribution("clove")
    except PackageNotFoundError:
        raise Unavailable(
            "this Clove is neither a checkout nor installed as a package",
            hint="install its wheel (pip install clove), or use a checkout",
        ) from None
    members = {}
    for name, recorded in _recorded(found):
        member = read_member(Path(str(found.locate_file(name))))
        if recorded and recorded != digest(member):
            raise Unavailable(
                f"{name} of the installed Clove is not what was installed",
                hint="install it anew before you make bundles of it",
            )
        members[name] = member
    tags = [
        line for line in (found.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:")
    ]
    if not members or not tags:
        raise Unavailable(
            "the installed Clove has no record of its files", hint="install its wheel"
        )
    return f"clove-{found.version}-{tags[0].split()[1]}.whl", members


def _recorded(found: Distribution) -> list[tuple[str, str]]:
    """Names, and hashes with sizes, of what came out of the wheel."""
    record = found.read_text("RECORD")
    if record is None:
        raise Internal("the installed Clove has no RECORD")
    rows = [row for row in csv.reader(io.StringIO(record)) if len(row) == 3]
    return [
        (name, f"{sha},{size}" if sha else "")
        for name, sha, size in rows
        if not name.startswith(("..", "/"))
        and not name.endswith(".pyc")
        and not (".dist-info/" in name and Path(name).name in INSTALLERS_OWN)
    ]
