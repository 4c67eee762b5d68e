"""What a program on a terminal may do to the user's (`docs/terminal.md`). Pure.

Sequences as ECMA-48 and the xterm control sequences (ctlseqs) have them. What is known to stay
within the window passes; every other sequence is left out whole.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

__all__ = ["ScreenFilter"]

_LONGEST: Final = 4096
"""Characters of one sequence; a longer one is left out."""
_TITLE: Final = 200
_PLAIN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]+|[\x07-\x0f]+")
_STRINGS: Final = frozenset("P]X^_")
"""What begins a string: DCS, OSC, SOS, PM, APC."""
_STRING_END: Final = re.compile(r"\x07|\x1b\\|\x1b(?!\\|\Z)|[\x18\x1a\x9c]")
_ESCAPE: Final = re.compile(r"\x1b(?:[()*+\-./][\x20-\x2f]?[0-~]|[78=>DEHMNOc])")
_ANY_ESCAPE: Final = re.compile(r"\x1b[\x20-\x2f]*[0-~]")
_CSI: Final = re.compile(r"\x1b\[([0-?]*)([ -/]*)([@-~])")
_BEGUN: Final = re.compile(r"\x1b(?:[\x20-\x2f]*|\[[0-?]*[ -/]*)\Z")
_FINALS: Final = {
    "": frozenset("@ABCDEFGHIJKLMPSTXZ`abcdefghlmnqrsu"),
    " ": frozenset("q"),
    "!": frozenset("p"),
    "$": frozenset("p"),
}
"""By the characters between: what ends a sequence that passes. CSI t is looked at by itself."""
_SIZE: Final = frozenset({"18"})
_TITLES: Final = frozenset({"0", "1", "2"})
_COLOURS: Final = frozenset({"4", "10", "11", "12", "104", "110", "111", "112"})
_COLOUR: Final = re.compile(r"[0-9A-Za-z#;:/?.,]*")
_LINK: Final = re.compile(r"[\w:=;.-]*;(?:https?://[\x21-\x7e]*)?", re.ASCII)
_MODES: Final = re.compile(r"(\??)([0-9;]+)")
_ANSI_MODES: Final = frozenset({"4", "20"})
"""Modes that pass without the question mark: insertion, new lines. Others lock the keyboard, or echo."""
_ON: Final = frozenset({"7", "25"})
"""Private modes that are set from the start: lines are wrapped, the cursor is shown."""
_UNDONE: Final = _ON | frozenset(
    [
        "1",
        "3",
        "5",
        "6",
        "9",
        "12",
        "45",
        "47",
        "66",
        "69",
        "1000",
        "1001",
        "1002",
        "1003",
        "1004",
        "1005",
        "1006",
        "1007",
        "1015",
        "1016",
        "1047",
        "1049",
        "2004",
        "2026",
    ]
)
"""Private modes that pass, as they can be set back at the end; 1049 is the alternate screen, 2004
bracketed paste. Of the others 2 is another terminal (VT52), and some make keys, or the window's
changes, type what no shell understands (9001, 2048).
"""
_QUESTIONS: Final = frozenset({"6"})
"""Reports (CSI n) that may be asked for: the answer to CSI 5 n ends the session (L{RawTerminal})."""
_PRIVATE: Final = frozenset("<=>?")
_COLOURS_AGAIN: Final = {"4": ("104",), **dict.fromkeys(("10", "11", "12"), ("110", "111", "112"))}
_ALWAYS: Final = "\x1b[m\x1b(B\x0f\x1b>"
_KEYBOARD: Final = "\x1b[<99u\x1b[=0u\x1b[>4m"
"""Takes away all that was pushed, and what was set without; then xterm's way (kitty's protocol, XTMODKEYS)."""


class ScreenFilter:
    """Takes what a program writes to its terminal, gives what the user's gets."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._left = ""
        self._changed: dict[str, bool] = {}  # modes, and whether they are set now
        self._undone_by: dict[str, None] = {}  # what undoes the rest, in order

    def feed(self, data: bytes, *, end: bool = False) -> bytes:
        """What may be shown of some more bytes. A sequence that is not whole waits for its rest."""
        text = self._left + self._decode(data, end)
        self._left = ""
        shown: list[str] = []
        at = 0
        while at < len(text):
            plain = _PLAIN.match(text, at)
            if plain is not None:
                shown.append(plain.group())
                at = plain.end()
            elif text[at] != "\x1b":
                at += 1  # ENQ and other control characters, those of C1 among them
            else:
                after, passes = self._sequence(text, at)
                if after < 0:
                    self._left = _rest(text[at:])
                    break
                shown.append(passes)
                at = after
        return "".join(shown).encode()

    def reset(self) -> bytes:
        """What undoes that a program has changed of the terminal."""
        undone = [
            f"\x1b[{mode}{'h' if mode[1:] in _ON else 'l'}"
            for mode, is_set in self._changed.items()
            if is_set is not (mode[1:] in _ON)
        ]
        others = list(self._undone_by)
        self._changed.clear()
        self._undone_by.clear()
        return "".join([*undone, *others, _ALWAYS]).encode()

    def _sequence(self, text: str, at: int) -> tuple[int, str]:
        """Where a sequence ends, and what of it passes; -1: its end is yet to come."""
        if text[at + 1 : at + 2] in _STRINGS and at + 1 < len(text):
            return self._string(text, at)
        found = _CSI.match(text, at)
        if found is not None:
            return found.end(), self._control(*found.groups())
        if _BEGUN.match(text, at):
            return -1, ""
        if text.startswith("\x1b[", at):  # broken off by what does not belong there
            return at + 2, ""
        passing = _ESCAPE.match(text, at)
        if passing is not None:
            return passing.end(), passing.group()
        left_out = _ANY_ESCAPE.match(text, at)
        return (at + 1 if left_out is None else left_out.end()), ""

    def _control(self, parameters: str, between: str, final: str) -> str:
        whole = f"\x1b[{parameters}{between}{final}"
        if final == "t" and not between:
            return whole if parameters in _SIZE else ""
        if final not in _FINALS.get(between, ""):
            return ""
        if final in "hl" and not between:
            return self._modes(parameters, final)
        private = parameters[:1] in _PRIVATE and bool(parameters)
        if final in "rs" and private:  # saves modes, and sets them as they were
            return ""
        if final == "n" and not private and parameters not in _QUESTIONS:
            return ""
        if final in "umn" and parameters[:1] in (">", "="):
            self._undone_by[_KEYBOARD] = None
        elif final == "r":
            self._undone_by["\x1b7\x1b[r\x1b8"] = None
        elif final == "q" and between:
            self._undone_by["\x1b[0 q"] = None
        return whole

    def _modes(self, parameters: str, final: str) -> str:
        """Of the modes that are to be set or reset, those that pass."""
        found = _MODES.fullmatch(parameters)
        if found is None:
            return ""
        mark, numbers = found.groups()
        known = _UNDONE if mark else _ANSI_MODES
        modes = [mode for mode in numbers.split(";") if mode in known]
        for mode in modes:
            self._changed[mark + mode] = final == "h"
        return f"\x1b[{mark}{';'.join(modes)}{final}" if modes else ""

    def _string(self, text: str, at: int) -> tuple[int, str]:
        end = _STRING_END.search(text, at + 2)
        if end is None:
            return -1, ""
        if end.group() == "\x1b":  # broken off by another sequence
            return end.start(), ""
        inner = text[at + 2 : end.start()]
        closed = end.group() in ("\x07", "\x1b\\", "\x9c")
        if text[at + 1] != "]" or not closed or len(inner) > _LONGEST:
            return end.end(), ""
        number, _, colour = inner.partition(";")
        if "?" not in colour:
            for again in _COLOURS_AGAIN.get(number, ()):
                self._undone_by[f"\x1b]{again}\x1b\\"] = None
        return end.end(), _command(inner)


def _rest(begun: str) -> str:
    """What to keep of a sequence whose end is yet to come; of one that is too long, that it is a string."""
    if len(begun) <= _LONGEST:
        return begun
    is_string = begun[1] in _STRINGS
    return f"\x1bX{begun[-1] if begun[-1] == chr(27) else ''}" if is_string else ""


def _command(inner: str) -> str:
    """An operating system command (OSC), or nothing."""
    number, _, text = inner.partition(";")
    if number in _TITLES:
        title = "".join(filter(str.isprintable, text))[:_TITLE]
        return f"\x1b]{number};{title}\x1b\\"
    if number in _COLOURS and _COLOUR.fullmatch(text):
        return f"\x1b]{inner}\x1b\\"
    if number == "8" and _LINK.fullmatch(text):
        return f"\x1b]{inner}\x1b\\"
    return ""
