"""Lines for people that go on below where a terminal ends; a pipe or a file gets them as they are."""

from __future__ import annotations

import shutil
import textwrap
from typing import Final, TextIO

__all__ = ["folded"]

LEAST: Final = 12
"""Characters of a continued line, however narrow the terminal is."""


def folded(stream: TextIO, text: str, indent: int) -> list[str]:
    """The lines of a text; a word that is longer than a line, such as a path, stays whole.

    @param stream: where it goes.
    @param indent: blanks before each line but the first.
    """
    if not stream.isatty():
        return [text]
    width = max(shutil.get_terminal_size().columns - 1, indent + LEAST)
    if len(text) <= width:
        return [text]
    below = " " * indent
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent=below,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return lines or [""]
