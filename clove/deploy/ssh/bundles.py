"""A bundle, brought to a machine: found or made here, copied piece by piece, unpacked there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

from clove.deploy.bundle.reading import BundleFacts, read_facts
from clove.deploy.ssh import scripts
from clove.deploy.ssh.answers import check_ran, read_number
from clove.deploy.ssh.connection import Connection
from clove.deploy.step import Facts, Progress
from clove.errors import InvalidRequest, Unavailable

__all__ = ["Bundles", "LocalBundle", "find_bundle"]

PIECE: Final = 2 << 20
"""Bytes that are sent at a time: what is lost at most when a connection is cut."""
COPY_SECONDS: Final = 600.0
"""For one piece."""


class LocalBundle(NamedTuple):
    """A bundle in a file here.

    @ivar sha256: of it, in hexadecimal.
    @ivar facts: what it says of itself.
    """

    path: Path
    sha256: str
    facts: BundleFacts


def find_bundle(given: str, kept: Path, facts: Facts, progress: Progress) -> LocalBundle:
    """The bundle for a machine: one that was given, that an earlier run has made, or a new one.

    @param given: path; "": none.
    @param kept: directory where one is made.
    @param facts: of the machine: python and machine.
    @raise InvalidRequest: it is for another machine, or no bundle.
    """
    if given:
        found = _read(Path(given))
    else:
        from clove.deploy.bundle import Target, make_bundle

        progress.note("making the bundle (some 20 s)")
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            found = _read(make_bundle(kept, Target(facts["python"], facts["machine"])).path)
        except OSError as error:
            raise Unavailable(f"the bundle cannot be made: {error}") from None
    has = found.facts
    if (has.python, has.machine) != (facts["python"], facts["machine"]):
        raise InvalidRequest(
            f"{found.path.name} is for Python {has.python} on {has.machine}; "
            f"there it is {facts['python']} on {facts['machine']}",
            hint="leave out --bundle: one is made",
        )
    return found


def _read(path: Path) -> LocalBundle:
    facts = read_facts(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from None
    return LocalBundle(path, digest, facts)


class Bundles:
    """Brings bundles to a machine.

    @ivar given: path of one; "": it is made.
    @param kept: directory here for one that is made.
    """

    def __init__(self, connection: Connection, given: str, kept: Path) -> None:
        self.given = given
        self._connection = connection
        self._kept = kept

    def is_there(self, facts: Facts) -> bool:
        """Whether the bundle that was brought is unpacked there."""
        if "directory" not in facts:
            return False
        place = f"{facts['staging']}/{facts['directory']}"
        return self._connection.run(scripts.UNPACKED, (place,)).status == 0

    def ensure(self, facts: Facts, progress: Progress) -> dict[str, Any]:
        """Bring it again if it is not there any more; gives what is known of it."""
        if self.is_there(facts):
            return {key: facts[key] for key in ("release", "version", "directory")}
        return self.bring(facts, progress)

    def bring(self, facts: Facts, progress: Progress) -> dict[str, Any]:
        """Copy a bundle there, from where an earlier copy has ended, and unpack it.

        @return: its release, version, and the directory in the staging directory.
        """
        bundle = find_bundle(self.given, self._kept, facts, progress)
        where = (facts["staging"], bundle.path.name)
        self._copy(bundle, where, progress)
        ran = self._connection.run(
            scripts.UNPACK, (*where, bundle.sha256, bundle.facts.directory), timeout=COPY_SECONDS
        )
        check_ran(ran, f"{bundle.path.name} cannot be unpacked")
        return {
            "release": bundle.facts.release,
            "version": bundle.facts.version,
            "directory": bundle.facts.directory,
        }

    def _copy(self, bundle: LocalBundle, where: tuple[str, str], progress: Progress) -> None:
        data = bundle.path.read_bytes()
        done = self._copied(where, data)
        while done < len(data):
            progress.amount(bundle.path.name, done, len(data))
            piece = data[done : done + PIECE]
            ran = self._connection.run(
                scripts.APPEND, (*where, str(done)), stdin=piece, timeout=COPY_SECONDS
            )
            check_ran(ran, f"{bundle.path.name} cannot be copied")
            if read_number(ran.text) != done + len(piece):
                raise Unavailable(
                    "something else writes to the copy of the bundle", hint="wait, and try again"
                )
            done += len(piece)

    def _copied(self, where: tuple[str, str], data: bytes) -> int:
        """How many bytes of it are there, if they are the same."""
        ran = self._connection.run(scripts.STAGED, (*where, str(len(data))))
        size, _, rest = check_ran(ran, f"{where[0]} cannot be made").text.partition("\n")
        done = read_number(size)
        same = 0 <= done <= len(data)
        return done if same and hashlib.sha256(data[:done]).hexdigest() in rest.split() else 0
