"""Directories as they are read: bounded, in order, and no name of theirs followed."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_right
from typing import NamedTuple

from clove.sandbox.os_errors import translate

__all__ = ["Listing", "Name", "page", "read_names"]


class Name(NamedTuple):
    """One name in a directory.

    @ivar raw: as the operating system has it, to be given back to it.
    @ivar text: the same, with what is no Unicode escaped.
    """

    text: str
    raw: str
    kind: str

    @property
    def escaped(self) -> bool:
        """Is it no Unicode?"""
        return self.text != self.raw


class Listing(NamedTuple):
    """Names in order; and whether there are more than were looked at."""

    names: list[Name]
    truncated: bool


def read_names(descriptor: int, path: str, most: int) -> Listing:
    """Read the names in a directory and close it. Blocking.

    @param path: as the caller named it, for error texts.
    @param most: names that are looked at.
    @raise CloveError: it cannot be read.
    """
    try:
        try:
            with os.scandir(descriptor) as entries:
                found = [_name(entry) for entry in itertools.islice(entries, most + 1)]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise translate(error, path) from None
    names = sorted(found[:most])
    return Listing(names, len(found) > most)


def _name(entry: os.DirEntry[str]) -> Name:
    """By the directory's own record of what it is: nothing is looked up."""
    raw = entry.name
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if entry.is_symlink():
        kind = "link"
    elif entry.is_dir(follow_symlinks=False):
        kind = "directory"
    else:
        kind = "file" if entry.is_file(follow_symlinks=False) else "special"
    return Name(text, raw, kind)


def page(names: list[Name], after: str, limit: int) -> tuple[list[Name], bool]:
    """The names after one, so many at most; and whether there are more."""
    begin = bisect_right(names, after, key=lambda name: name.text) if after else 0
    return names[begin : begin + limit], len(names) > begin + limit
