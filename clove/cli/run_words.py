"""What stands on the command line of `clove run`: options, what to run, and its arguments. Pure::

    clove run [OPTIONS] SCRIPT|DIRECTORY [ARGS]
    clove run [OPTIONS] -m MODULE [ARGS]
    clove run [OPTIONS] -- PROGRAM [ARGS]

What follows is the program's, whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

__all__ = ["MODULE", "NOTHING", "PROGRAM", "SCRIPT", "RunWords", "split_words"]

SCRIPT: Final = "script"
"""A Python file, or a directory with a `__main__.py`."""
MODULE: Final = "module"
PROGRAM: Final = "program"
NOTHING: Final = ""


class RunWords(NamedTuple):
    """The command line in its parts.

    @ivar form: of what is to be run; L{NOTHING}: the command line ends before that.
    @ivar target: the script, directory, module or program.
    """

    options: tuple[str, ...]
    form: str
    target: str = ""
    args: tuple[str, ...] = ()


def split_words(words: Sequence[str], valued: Collection[str]) -> RunWords:
    """The parts of a command line.

    @param valued: the options that take a value, each as it is written (`--name`, `-e`).
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return _run(words[:at], PROGRAM, words[at + 1 :])
        if word.startswith("--"):
            at += 2 if word in valued else 1
        elif word.startswith("-") and word != "-":
            letter = _last_letter(word, valued)
            attached = word[word.index(letter, 1) + 1 :] if letter else ""
            if letter == "m":
                before = [*words[:at], word[: word.index("m", 1)]]
                options = before if len(before[-1]) > 1 else before[:-1]
                rest = [attached, *words[at + 1 :]] if attached else words[at + 1 :]
                return _run(options, MODULE, rest)
            at += 2 if letter and not attached else 1
        else:
            return _run(words[:at], SCRIPT, words[at:])
    return RunWords(tuple(words), NOTHING)


def _last_letter(word: str, valued: Collection[str]) -> str:
    """The first of the letters of `-abc` that takes what comes after it; "" if none does."""
    return next((one for one in word[1:] if one == "m" or f"-{one}" in valued), "")


def _run(options: Sequence[str], form: str, rest: Sequence[str]) -> RunWords:
    if not rest:
        return RunWords(tuple(options), NOTHING)
    return RunWords(tuple(options), form, rest[0], tuple(rest[1:]))
