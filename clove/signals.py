"""Signals by the names that people give them. Pure."""

from __future__ import annotations

import signal

from clove.errors import InvalidRequest
from clove.spelling import guess, shown

__all__ = ["signal_number"]


def signal_number(asked: str | int) -> int:
    """A signal's number, from that or its name, with or without SIG.

    @raise InvalidRequest: there is no such signal, or it is PAUSE's to send.
    """
    try:
        if isinstance(asked, int) or (asked.isascii() and asked.isdigit()):
            found = signal.Signals(int(asked))
        else:
            found = signal.Signals["SIG" + asked.upper().removeprefix("SIG")]
    except (ValueError, KeyError):
        names = tuple(each.name for each in signal.Signals)
        close = guess(f"SIG{str(asked).upper().removeprefix('SIG')}", names)
        raise InvalidRequest(
            f"there is no signal {shown(str(asked))}",
            hint=f"did you mean {close}?" if close else "name it as in HUP, SIGUSR1 or 15",
        ) from None
    if found in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        raise InvalidRequest(
            f"{found.name} would stop it behind the kernel's back", hint="use PAUSE (clove pause)"
        )
    return int(found)
