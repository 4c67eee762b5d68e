"""Keys that leave a program running and its terminal (`--detach-keys`). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from clove.errors import InvalidRequest

__all__ = ["DEFAULT", "DetachKeys", "parse"]

DEFAULT: Final = "ctrl-p,ctrl-q"
_CTRL_C: Final = b"\x03"
_CONTROL: Final = re.compile(r"ctrl-([a-z@\[\\\]^_])")


def parse(text: str) -> bytes:
    """The bytes that some keys send; "" is none.

    @param text: keys with commas between: `ctrl-` and a letter or one of @[]^_ and the
        backslash, or a single character.
    @raise InvalidRequest: it is nothing of the kind.
    """
    keys = bytearray()
    for key in text.split(",") if text else []:
        control = _CONTROL.fullmatch(key.lower())
        if control is not None:
            keys.append(ord(control.group(1).upper()) & 0x1F)
        elif len(key) == 1 and key.isascii() and key.isprintable():
            keys += key.encode()
        else:
            raise InvalidRequest(
                f"no key is called {key!r}",
                hint="write keys like `ctrl-p,ctrl-q`, or a single character",
            )
    return bytes(keys)


class DetachKeys:
    """Looks for some keys in what is typed, and passes on all else.

    @param is_down: says whether what is typed reaches nothing now, as while a relay is away: then Ctrl-C, which else is
        the program's, is ours.
    @ivar pressed: they were, or that was.
    @ivar interrupted: that was.
    """

    def __init__(self, keys: bytes, is_down: Callable[[], bool] = lambda: False) -> None:
        self._keys = keys
        self._is_down = is_down
        self._held = b""
        self.pressed = self.interrupted = False

    def feed(self, typed: bytes) -> bytes:
        """What to pass on of what was typed: keys that may begin those looked for wait for the next."""
        if _CTRL_C in typed and self._is_down():
            self.pressed = self.interrupted = True
            return b""
        if not self._keys:
            return typed
        typed = self._held + typed
        at = typed.find(self._keys)
        if at >= 0:
            self.pressed = True
            self._held = b""
            return typed[:at]
        most = min(len(typed), len(self._keys) - 1)
        begun = (n for n in range(most, 0, -1) if typed.endswith(self._keys[:n]))
        end = len(typed) - next(begun, 0)
        self._held = typed[end:]
        return typed[:end]
