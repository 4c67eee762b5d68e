"""A shell command line taken apart into the simple commands that it may run.

A reading of the POSIX shell's grammar that errs on the side of seeing a command
where there is none: the words of a here-document or of a `case` look like
commands too. It knows quotes, comments, lists, pipelines, subshells, command
substitution (also inside double quotes), redirections and assignments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["MAX_COMMAND", "Unreadable", "simple_commands"]

MAX_COMMAND: Final = 16384
"""Characters of a command line that rules can judge; a longer one is Unreadable."""
MAX_DEPTH: Final = 32
"""Substitutions within each other; deeper is Unreadable."""

RESERVED: Final = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "do",
        "done",
        "while",
        "until",
        "!",
        "{",
        "}",
        "time",
        "case",
        "esac",
    ]
)
_BREAKS: Final = frozenset(";&|\n")
_BLANKS: Final = frozenset(" \t\r")


class Unreadable(Exception):
    """The command line cannot be taken apart: a quote is not closed, or it is too long."""


@dataclass(slots=True)
class _Frame:
    """A command being read: the top level, a subshell or a substitution.

    @ivar closer: what ends it: empty at the top, `)` or a backquote.
    @ivar word: the word being read, None between words.
    @ivar quoted: inside double quotes.
    @ivar inline: a substitution; the outer word goes on with its output.
    """

    closer: str = ""
    inline: bool = False
    words: list[str] = field(default_factory=list)
    word: list[str] | None = None
    quoted: bool = False
    redirected: bool = False

    def add(self, text: str) -> None:
        """Go on with the current word, or begin one."""
        if self.word is None:
            self.word = []
        self.word.append(text)

    def end_word(self) -> None:
        """A blank or an operator: the word is whole. A redirection's target is dropped."""
        if self.word is not None:
            if self.redirected:
                self.redirected = False
            else:
                self.words.append("".join(self.word))
            self.word = None


class _Reader:
    """Reads one line. `found` are the simple commands, in the order of their ends."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_COMMAND:
            raise Unreadable(f"it is longer than {MAX_COMMAND} characters")
        if "\0" in text:
            raise Unreadable("it holds a NUL")
        self._text = text
        self._at = 0
        self._frames = [_Frame()]
        self.found: list[list[str]] = []

    def read(self) -> None:
        """Take all of it apart."""
        text = self._text
        while self._at < len(text):
            one = text[self._at]
            self._at += 1
            if self._frames[-1].quoted:
                self._in_double_quotes(one)
            else:
                self._plain(one)
        if len(self._frames) > 1 or self._frames[0].quoted:
            raise Unreadable("a quote or parenthesis is not closed")
        self._end_command()

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _end_command(self) -> None:
        frame = self._frames[-1]
        frame.end_word()
        frame.redirected = False
        if frame.words:
            self.found.append(frame.words)
            frame.words = []

    def _open(self, closer: str, *, inline: bool) -> None:
        if len(self._frames) >= MAX_DEPTH:
            raise Unreadable(f"it nests deeper than {MAX_DEPTH}")
        self._frames.append(_Frame(closer, inline))

    def _close(self) -> None:
        self._end_command()
        frame = self._frames.pop()
        if not frame.inline:
            self._end_command()

    def _substitution(self, one: str) -> bool:
        """Handle substitutions (dollar and bracket, backquotes), alike within double quotes and outside."""
        frame = self._frames[-1]
        if one == "`":
            if frame.closer == "`":
                self._close()
            else:
                frame.add("$")
                self._open("`", inline=True)
            return True
        if one == "$" and self._next() == "(":
            self._at += 1
            frame.add("$")
            self._open(")", inline=True)
            return True
        return False

    def _in_double_quotes(self, one: str) -> None:
        frame = self._frames[-1]
        if one == '"':
            frame.quoted = False
        elif one == "\\" and self._next() in ("$", "`", '"', "\\", "\n"):
            escaped = self._next()
            self._at += 1
            if escaped != "\n":
                frame.add(escaped)
        elif not self._substitution(one):
            frame.add(one)

    def _plain(self, one: str) -> None:
        frame = self._frames[-1]
        if one in _BLANKS:
            frame.end_word()
        elif one == "'":
            end = self._text.find("'", self._at)
            if end < 0:
                raise Unreadable("a quote is not closed")
            frame.add(self._text[self._at : end])
            self._at = end + 1
        elif one == '"':
            frame.add("")
            frame.quoted = True
        elif one == "\\":
            escaped = self._next()
            self._at += 1
            if escaped != "\n":
                frame.add(escaped)
        elif one == "#" and frame.word is None:
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end
        elif not self._substitution(one):
            self._operator(one)

    def _operator(self, one: str) -> None:
        frame = self._frames[-1]
        if one in "<>":
            if frame.word and "".join(frame.word).isdigit():
                frame.word = None  # the descriptor's number, as in 2>
            frame.end_word()
            if self._next() == "(":  # process substitution
                self._at += 1
                frame.add("$")
                self._open(")", inline=True)
                return
            frame.redirected = True
            if self._next() in ("&", "|"):
                self._at += 1
        elif one in _BREAKS:
            self._end_command()
        elif one == "(":
            self._end_command()
            self._open(")", inline=False)
        elif one == ")":
            if frame.closer == ")":
                self._close()
            else:
                self._end_command()  # the pattern of a case
        else:
            frame.add(one)


def simple_commands(text: str) -> list[list[str]]:
    """The words of each simple command, quotes taken off, redirections left out.

    A word that the shell computes holds a `$` or a wildcard. Reserved words
    (`if`, `then`, `!` ...) are left out at the beginning of a command.

    @raise Unreadable: a quote is not closed, it is too long or too deep.
    """
    reader = _Reader(text)
    reader.read()
    commands = []
    for words in reader.found:
        start = 0
        while start < len(words) and words[start] in RESERVED:
            start += 1
        if start < len(words):
            commands.append(words[start:])
    return commands
