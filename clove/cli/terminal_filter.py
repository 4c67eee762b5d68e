"""What an agent's output may do to a terminal: letters, colours, and redrawing its own line. Pure.

Everything else that a terminal might obey is left out (`docs/output.md` has the list): it could
forge what stands above, ask the terminal to type an answer, or change how it works afterwards.
"""

from __future__ import annotations

import codecs
import re
from enum import Enum, auto

__all__ = ["TerminalFilter"]

_SPECIAL = re.compile(
    "[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_STRING_END = re.compile("[\x07\n\x18\x1a\x1b\x9c]")
_STRING_C1 = "\x90\x98\x9d\x9e\x9f"
_LONGEST = 64
"""Characters of a control sequence; a longer one is none that passes."""
_ERASE = re.compile("[012]?")
_COLUMN = re.compile("[0-9]{0,4}")
_STYLE = re.compile("[0-9;:]*")
_CONCEAL = 8
_RESET = "\x1b[0m"


class _State(Enum):
    """Where in the text the next character stands."""

    TEXT = auto()
    ESCAPE = auto()
    CONTROL = auto()
    STRING = auto()


class TerminalFilter:
    """Takes bytes in any pieces; gives text that is harmless on a terminal."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._state = _State.TEXT
        self._sequence = ""
        self._styled = False

    def feed(self, data: bytes) -> str:
        """What of these bytes may be shown."""
        return self._pass(self._decode(data))

    def finish(self) -> str:
        """What is left at the end; styles are reset."""
        rest = self._pass(self._decode(b"", True))
        return rest + _RESET if self._styled else rest

    def _pass(self, text: str) -> str:
        shown: list[str] = []
        at = 0
        while at < len(text):
            if self._state is _State.TEXT:
                at = self._take_text(text, at, shown)
            elif self._state is _State.STRING:
                at = self._skip_string(text, at)
            elif self._state is _State.CONTROL:
                at = self._take_control(text, at, shown)
            else:
                at = self._take_escape(text, at)
        return "".join(shown)

    def _take_text(self, text: str, at: int, shown: list[str]) -> int:
        special = _SPECIAL.search(text, at)
        if special is None:
            shown.append(text[at:])
            return len(text)
        shown.append(text[at : special.start()])
        character = special[0]
        if character == "\x1b":
            self._state = _State.ESCAPE
        elif character == "\x9b":
            self._begin_control()
        elif character in _STRING_C1:
            self._state = _State.STRING
        return special.end()

    def _take_escape(self, text: str, at: int) -> int:
        """The character after ESC, or after an intermediate one."""
        character = text[at]
        if character == "[":
            self._begin_control()
        elif character in "PX]^_":
            self._state = _State.STRING
        elif " " <= character <= "/" or character == "\x1b":
            self._state = _State.ESCAPE
        else:
            self._state = _State.TEXT
            if not "0" <= character <= "~":
                return at  # it is no part of the sequence
        return at + 1

    def _begin_control(self) -> None:
        self._state = _State.CONTROL
        self._sequence = ""

    def _take_control(self, text: str, at: int, shown: list[str]) -> int:
        character = text[at]
        if " " <= character <= "?":
            self._sequence = (self._sequence + character)[:_LONGEST]
            return at + 1
        self._state = _State.TEXT
        if not "@" <= character <= "~":
            return at
        if _is_harmless(self._sequence, character):
            shown.append(f"\x1b[{self._sequence}{character}")
            self._styled = self._styled or character == "m"
        return at + 1

    def _skip_string(self, text: str, at: int) -> int:
        """A title, a clipboard, a picture: up to its end, or that of the line."""
        end = _STRING_END.search(text, at)
        if end is None:
            return len(text)
        if end[0] == "\x1b":  # with a backslash it is the end; any other sequence ends it, too
            self._state = _State.ESCAPE
        else:
            self._state = _State.TEXT
        return end.start() if end[0] == "\n" else end.end()


def _is_harmless(sequence: str, final: str) -> bool:
    """Whether a control sequence with these parameters passes."""
    if len(sequence) >= _LONGEST:
        return False
    if final == "m":
        return _STYLE.fullmatch(sequence) is not None and not _conceals(sequence)
    if final == "K":
        return _ERASE.fullmatch(sequence) is not None
    return final in "GCD" and _COLUMN.fullmatch(sequence) is not None


def _conceals(sequence: str) -> bool:
    """Whether a style hides text (8), which is no part of a colour here (38;5;8)."""
    numbers = iter(sequence.split(";"))
    for number in numbers:
        if number.isdigit() and int(number) == _CONCEAL:
            return True
        if number in ("38", "48", "58"):
            kind = next(numbers, "")
            for _ in range({"5": 1, "2": 3}.get(kind, 0)):
                next(numbers, "")
    return False
