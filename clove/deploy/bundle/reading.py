"""What a bundle in a file says of itself."""

from __future__ import annotations

import json
import re
import tarfile
import zlib
from pathlib import Path
from typing import IO, Final, NamedTuple

from clove.errors import InvalidRequest

__all__ = ["BundleFacts", "read_facts"]

MOST: Final = 1 << 16
"""Bytes of its C{bundle.json}."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_UNREADABLE: Final = (
    *(OSError, EOFError, zlib.error, tarfile.TarError),
    *(ValueError, KeyError, TypeError, RecursionError),
)


class BundleFacts(NamedTuple):
    """What is in its C{bundle.json}.

    @ivar directory: the one directory in it.
    @ivar release: like C{0.1.0-3fa94c21}.
    @ivar python: like C{3.11}.
    @ivar machine: the processor, like C{x86_64}.
    """

    directory: str
    release: str
    version: str
    python: str
    machine: str


def read_facts(path: Path) -> BundleFacts:
    """Find and read its C{bundle.json}; blocks for as long as it takes to unpack what stands before it.

    @raise InvalidRequest: it cannot be read, or is no bundle.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                directory, _, name = member.name.partition("/")
                if name == "bundle.json" and (file := archive.extractfile(member)):
                    return _facts(directory, file)
        why = "there is no bundle.json in it"
    except _UNREADABLE as error:
        why = str(error) or type(error).__name__
    raise InvalidRequest(
        f"{path} is no bundle of Clove: {why}",
        hint="clove deploy bundle makes one; without --bundle one is made by itself",
    )


def _facts(directory: str, file: IO[bytes]) -> BundleFacts:
    """@raise ValueError, KeyError, TypeError: something is missing, or no name."""
    said = json.loads(file.read(MOST))
    values = (directory, *(said[key] for key in BundleFacts._fields[1:]))
    for value in values:
        if _NAME.fullmatch(value) is None:
            raise ValueError(f"{value!r} in bundle.json is no name")
    return BundleFacts(*values)
