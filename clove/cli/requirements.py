"""Requirements files: their texts, with all that they include, so that what is built is what was read."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from clove.errors import InvalidRequest, NotFound
from clove.regular import NotSmall, read_regular

__all__ = ["Requirements", "read_requirements"]

MOST_FILES: Final = 64
MOST_BYTES: Final = 1 << 20
"""Of one file."""
_INCLUDES: Final = re.compile(
    r"\s*(?P<option>-r|-c|--requirement\b|--constraint\b)(?:\s*=\s*|\s*)(?P<path>[^\s=].*?)(?:\s+#.*)?\s*"
)
_LOCAL: Final = re.compile(r"\s*(-e\b|--editable\b|\.{1,2}/|\.\s*$|/|~|file:|[^#]*\s@\s*file:)")


class Requirements(NamedTuple):
    """What is to be installed.

    @ivar names: of the files that were named, as they were.
    @ivar texts: of all files. They include each other by their numbers, as `-r 3.txt`.
    @ivar first: the numbers of those that were named.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    first: tuple[int, ...]


def read_requirements(paths: Sequence[str], constraints: Sequence[str] = ()) -> Requirements:
    """Read requirements files, and what they include with -r and -c.

    @param constraints: files that bind whatever is required.
    @raise NotFound: one is not there.
    @raise InvalidRequest: one is no text, too large, or asks for what lies in a directory.
    """
    found = _Reading()
    first = tuple(found.number_of(os.path.abspath(os.path.expanduser(path))) for path in paths)
    if constraints:
        numbers = [found.number_of(path) for path in constraints]
        found.texts.append("".join(f"-c {number}.txt\n" for number in numbers))
        first = (*first, len(found.texts) - 1)
    return Requirements(tuple(map(str, paths)), tuple(found.texts), first)


class _Reading:
    """Files by their numbers.

    @ivar texts: with the includes rewritten.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number_of(self, path: str) -> int:
        """Read a file, unless that was done, and all that it includes."""
        real = os.path.realpath(path)
        if real in self._numbers:
            return self._numbers[real]
        number = self._numbers[real] = len(self.texts)
        if number >= MOST_FILES:
            raise InvalidRequest(f"more than {MOST_FILES} requirements files include each other")
        self.texts.append("")
        lines = _text(path).splitlines()
        self.texts[number] = "".join(f"{self._line(line, path)}\n" for line in lines)
        return number

    def _line(self, line: str, path: str) -> str:
        """A line as it is, or with the number of the file that it includes."""
        if _LOCAL.match(line):
            raise InvalidRequest(
                f"{path}: {line.strip()!r} lies in a directory, which can change at any time",
                hint="install that when the program starts, or leave it to --dir",
            )
        match = _INCLUDES.fullmatch(line)
        if match is None:
            return line
        target = match["path"].strip("\"'")
        if "://" in target:
            raise InvalidRequest(
                f"{path} includes {target}, which can change at any time", hint="keep a copy of it"
            )
        number = self.number_of(os.path.join(os.path.dirname(os.path.realpath(path)), target))
        option = "-r" if match["option"] in ("-r", "--requirement") else "-c"
        return f"{option} {number}.txt"


def _text(path: str) -> str:
    try:
        return read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except NotSmall as error:
        raise InvalidRequest(f"requirements {path}: it {error.strerror}") from None
    except OSError as error:
        raise NotFound(f"requirements {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"requirements {path}: it is not UTF-8") from None
