"""Directories as they are read: bounded, in order, and no name of theirs followed."""

from __future__ import annotations

import itertools
import os
from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

from clove.sandbox.os_errors import translate

__all__ = ["Listing", "Name", "Page", "page", "read_names"]

SAME: Final = "\0"


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


class Page(NamedTuple):
    """Some names; whether there are more; and what to ask for those."""

    names: list[Name]
    more: bool
    next: str


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


def page(names: list[Name], after: str, limit: int) -> Page:
    """The names after one, so many at most.

    Several names may look the same when what is no Unicode in them is escaped. So C{next} says how many
    of those that look so were given, where there are more of them: after a NUL, which no name has.

    @param after: C{next} of the page before; "" for the first.
    """
    text, _, number = after.partition(SAME)
    begin = bisect_right(names, text, key=_text) if after else 0
    if number.isdecimal():
        begin = min(begin, bisect_left(names, text, key=_text) + int(number))
    end = min(begin + limit, len(names))
    following = names[end - 1].text if end > begin else after
    more = end < len(names)
    if more and names[end].text == following:
        following += f"{SAME}{end - bisect_left(names, following, key=_text)}"
    return Page(names[begin:end], more, following)


def _text(name: Name) -> str:
    return name.text
