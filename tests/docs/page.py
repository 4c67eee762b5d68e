"""What a page of the documentation tells its reader to save and to type. Pure.

- A fenced block C{console} is a terminal: a line C{$ command} is typed, lines C{> ...} go on with it, and
  what follows is what it shows. A line C{^C} is a key that is typed once all above it was shown.
- A fenced block of a language whose first line is a comment with a file's name (C{# hello.py}) is saved as
  that file.
- All other blocks are read, not run.

What a page shows is compared with what happens without colours, the width of gaps, and what is another at each
time: spans, dates, pids and ids of agents. C{...} stands for anything within a line, alone for any lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Command", "SavedFile", "matches", "parts_before_keys", "steps"]

INTERRUPT = "^C"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^(?:#|//) (\w[\w.-]*(?:/\w[\w.-]*)*\.\w+)$")
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]"
)
_VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?"), "DATE"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:ms|s|m|h|d)\b(?: \d+[smh]\b)?"), "SPAN"),
    (re.compile(r"\b(pid|agent|id) \d+"), r"\1 NUMBER"),
    (re.compile(r"^\d+(?= [^\d\W])|(?<=[\w-] \()\d+(?=\))"), "NUMBER"),
)


@dataclass(frozen=True)
class SavedFile:
    """A file that the page shows.

    @ivar line: where, counted from 1.
    """

    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """Something to type.

    @ivar expected: what it shows then.
    @ivar line: where, counted from 1.
    """

    text: str
    expected: str
    line: int


def steps(page: str) -> list[SavedFile | Command]:
    """All that a page's reader does, in order."""
    found: list[SavedFile | Command] = []
    for block in _FENCE.finditer(page):
        language, text = block[1], block[2]
        line = page.count("\n", 0, block.start()) + 2
        if language == "console":
            found += _commands(text, line)
        elif named := _NAMED.match(text.partition("\n")[0]):
            found.append(SavedFile(named[1], text, line))
    return found


def _commands(block: str, line: int) -> list[Command]:
    found: list[Command] = []
    typed: list[str] = []
    shown: list[str] = []
    begin = line

    def end() -> None:
        if typed:
            found.append(Command("\n".join(typed), "\n".join(shown), begin))

    for number, each in enumerate(block.splitlines(), line):
        if each.startswith("$ "):
            end()
            typed, shown, begin = [each[2:]], [], number
        elif each.startswith("> ") and typed and not shown:
            typed.append(each[2:])
        elif typed:
            shown.append(each)
        else:
            raise ValueError(f"line {number}: output before any command: {each!r}")
    end()
    return found


def parts_before_keys(expected: str) -> list[str]:
    """What is shown before each Ctrl-C, and after the last."""
    parts = [""]
    for line in expected.splitlines():
        if line == INTERRUPT:
            parts.append("")
        else:
            parts[-1] += line + "\n"
    return parts


def matches(expected: str, shown: str) -> bool:
    """Whether a terminal shows what the page says."""
    pattern = "".join(_pattern(line) for line in _plain(expected))
    return re.fullmatch(pattern, "".join(line + "\n" for line in _plain(shown))) is not None


def _pattern(line: str) -> str:
    if line == "...":
        return "(?:.*\n)*?"
    return ".*?".join(map(re.escape, line.split("..."))) + "\n"


def _plain(text: str) -> list[str]:
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("^C", "")
    return [_regular(" ".join(line.split())) for line in text.strip("\n").splitlines()]


def _regular(line: str) -> str:
    """A line without what is another at each time."""
    for varying, word in _VARYING:
        line = varying.sub(word, line)
    return line
