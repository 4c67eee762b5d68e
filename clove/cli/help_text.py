"""Help that is no wider than the terminal, with examples that keep their lines where there is room."""

from __future__ import annotations

import re
import textwrap
from typing import Final

import click

__all__ = ["HelpContext"]

VERBATIM: Final = "\b\n"
"""What click has before a paragraph that keeps its lines."""
_COLUMNS: Final = re.compile(r"(\s*\S.*?)\s{2,}(\S.*)")
"""A line of two columns: a command, and what it does."""


class HelpFormatter(click.HelpFormatter):
    """Breaks also the lines of a paragraph that click would leave as they are."""

    def write_text(self, text: str) -> None:
        """Paragraphs, with a blank line between two."""
        room = max(self.width - self.current_indent, 20)
        paragraphs = re.split(r"\n{2,}", text.strip("\n"))
        super().write_text("\n\n".join(_fitting(each, room) for each in paragraphs))


class HelpContext(click.Context):
    """A command's, whose help is written so."""

    formatter_class = HelpFormatter


def _fitting(paragraph: str, room: int) -> str:
    if not paragraph.startswith(VERBATIM):
        return paragraph
    lines = paragraph.removeprefix(VERBATIM).split("\n")
    if any(len(line) > room for line in lines) and not any(map(_is_arranged, lines)):
        return "\n".join(lines)
    return VERBATIM + "\n".join(each for line in lines for each in _broken(line, room))


def _is_arranged(line: str) -> bool:
    """Whether it is more than a line of sentences."""
    return line.startswith(" ") or _COLUMNS.fullmatch(line) is not None


def _broken(line: str, room: int) -> list[str]:
    """A line; where it is too long, its second column goes below the first."""
    if len(line) <= room:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    parts = _COLUMNS.fullmatch(line)
    if parts is None:
        return _wrapped(line.strip(), indent, f"{indent}    ", room)
    below = f"{indent}    "
    return [*_broken(parts[1], room), *_wrapped(parts[2], below, below, room)]


def _wrapped(text: str, first: str, rest: str, room: int) -> list[str]:
    return textwrap.wrap(
        text,
        room,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
