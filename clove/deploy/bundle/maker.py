"""Make a bundle: Clove's wheel, all that it needs, and what installs them, as one archive."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from clove._version import __version__
from clove.deploy.bundle.archives import Member, read_member, write_tar
from clove.deploy.bundle.lock import Pin, read_pins
from clove.deploy.bundle.own_wheel import checkout, make_wheel
from clove.deploy.bundle.target import GLIBC, Target
from clove.deploy.bundle.wheelhouse import fetch_wheels
from clove.errors import InvalidRequest

__all__ = ["Bundle", "bundle_pins", "make_bundle", "source_time"]

EARLIEST: Final = 315532800
"""1980-01-01, for what is made where nothing says when."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was made.

    @ivar path: the archive; it unpacks to one directory, of the same name without C{.tar.gz}.
    @ivar release: what C{install} calls it there, like C{0.1.0-3fa94c21}: version and a hash of all of it.
    @ivar sha256: of the archive, in hexadecimal.
    """

    path: Path
    target: Target
    release: str
    sha256: str

    @property
    def directory(self) -> str:
        """The one directory in it."""
        return self.path.name.removesuffix(".tar.gz")


def make_bundle(directory: Path, target: Target | None = None) -> Bundle:
    """Make C{clove-VERSION-py3XX-linux-MACHINE.tar.gz} in a directory; one that is there is replaced.

    It blocks for some seconds (pip fetches 25 MB, or finds them in its cache), so do it in a thread.
    The same Clove, locks and SOURCE_DATE_EPOCH give the same bytes.

    @param target: the Python that it is for; this one's when not given.
    @raise InvalidRequest: there are no locked wheels for it.
    @raise Unavailable: Clove's own wheel cannot be made, or the others cannot be fetched.
    @raise OSError: something cannot be read or written.
    """
    target = target or Target.here()
    pins = [pin for pin in bundle_pins() if target.needs(pin.marker)]
    with tempfile.TemporaryDirectory(prefix="clove-bundle-") as temporary:
        wheels = Path(temporary, "wheels")
        wheels.mkdir()
        fetch_wheels(pins, target, wheels)
        own = make_wheel(wheels)
        pins.append(Pin("clove", __version__, "", (f"sha256:{_sha256(own.read_bytes())}",)))
        members = {f"wheels/{path.name}": read_member(path) for path in sorted(wheels.iterdir())}
    members |= _installer(target) | _systemd_files()
    members["requirements.txt"] = Member("".join(pin.requirement() for pin in pins).encode())
    release = f"{__version__}-{_identity(members)}"
    facts = {"release": release, "version": __version__, "python": target.python}
    facts |= {"machine": target.machine}
    members["bundle.json"] = Member((json.dumps(facts | {"glibc": GLIBC}) + "\n").encode())
    name = f"clove-{__version__}-{target.name}"
    path = directory / f"{name}.tar.gz"
    partial = directory / f".{name}.partial"
    try:
        write_tar(
            partial, {f"{name}/{key}": each for key, each in members.items()}, time=source_time()
        )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Bundle(path, target, release, _sha256(path.read_bytes()))


def bundle_pins() -> list[Pin]:
    """What a bundle has besides Clove: its requirements, psycopg for a relay with PostgreSQL, and pip."""
    return read_pins(files("clove.deploy.bundle").joinpath("requirements.lock").read_text())


def source_time() -> int:
    """When this Clove was made, in seconds since 1970: SOURCE_DATE_EPOCH, else its last commit's time.

    @raise InvalidRequest: SOURCE_DATE_EPOCH is no number.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not given.isdecimal():
            raise InvalidRequest(
                f"SOURCE_DATE_EPOCH is {given!r}", hint="it is a number of seconds since 1970"
            )
        return int(given)
    tree = checkout()
    if tree is None or not (tree / ".git").exists():
        return EARLIEST
    words = ["git", "-C", str(tree), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return EARLIEST
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else EARLIEST


def _installer(target: Target) -> dict[str, Member]:
    """The program C{install}, which runs the installer out of Clove's wheel."""
    text = files("clove.deploy.installer").joinpath("install.sh").read_text()
    major, minor = target.python.split(".")
    text = text.replace("@PYTHON@", target.python).replace("@TUPLE@", f"({major}, {minor})")
    return {"install": Member(text.encode(), executable=True)}


def _systemd_files() -> dict[str, Member]:
    """What lies in C{deploy/systemd}, at the same place in the bundle."""
    root = Path(str(files("clove.deploy").joinpath("files", "systemd")))
    return {
        f"systemd/{path.relative_to(root)}": read_member(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".md"
    }


def _identity(members: Mapping[str, Member]) -> str:
    """The same for the same files, another for others."""
    whole = hashlib.sha256()
    for name, member in sorted(members.items()):
        whole.update(f"{name}\0{member.mode:o}\0{_sha256(member.content)}\n".encode())
    return whole.hexdigest()[:8]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
