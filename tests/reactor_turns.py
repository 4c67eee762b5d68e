"""Single turns of a reactor, of a clock that stands for it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

__all__ = ["turn"]


def turn(clock: Clock) -> None:
    """Call what is due; what asks for another call meanwhile waits for the next turn.

    (C{clock.advance(0)} calls that at once.)
    """
    now = clock.seconds()
    due: list[Any] = [call for call in clock.calls if call.getTime() <= now]
    clock.calls = [call for call in clock.calls if call not in due]
    for call in due:
        if call.active():
            call.called = 1
            call.func(*call.args, **call.kw)
