"""What a lock pins: name, version, hashes, and for which Pythons. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from clove.errors import Internal

__all__ = ["Pin", "read_pins"]

PIN: Final = re.compile(r"([A-Za-z0-9._-]+)==(\S+?)(?: ; (.+?))? \\")
HASH: Final = re.compile(r" +--hash=(sha256:[0-9a-f]{64})(?: \\)?")


@dataclass(frozen=True, slots=True)
class Pin:
    """One release of one package.

    @ivar marker: where it is needed (PEP 508); "" everywhere.
    @ivar hashes: C{sha256:HEX} of each of its files; pip takes no other.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def requirement(self) -> str:
        """It as lines of a requirements file, without the marker."""
        hashes = " \\\n".join(f"    --hash={each}" for each in self.hashes)
        return f"{self.name}=={self.version} \\\n{hashes}\n"


def read_pins(text: str) -> list[Pin]:
    """The pins of a lock that C{make lock} has made.

    @raise Internal: a line that is no pin, hash or comment: better no bundle than one that lacks something.
    """
    found: list[tuple[re.Match[str], list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.lstrip().startswith("#"):
            continue
        if pin := PIN.fullmatch(line):
            found.append((pin, []))
        elif (digest := HASH.fullmatch(line)) and found:
            found[-1][1].append(digest[1])
        else:
            raise Internal(f"line {number} of the lock is no pin and no hash: {line!r}")
    return [Pin(pin[1], pin[2], pin[3] or "", tuple(hashes)) for pin, hashes in found]
