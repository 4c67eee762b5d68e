"""What a relay answers to a remote agent's first message, and what it says about itself. Pure; standard library only.

The relay may be anybody: what it says is checked before it is used, and shown without characters that would
do something to a terminal.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from clove.errors import CloveError, PermissionDenied, Unavailable

__all__ = ["Welcome", "is_drain", "printable", "welcome_of"]

_MOST_WORDS: Final = 500
"""Characters of what a relay says, in an error."""
_MOST_SESSION: Final = 256
_MOST_COUNT: Final = 2**63 - 1
_MOST_RESUME: Final = 3600.0
"""Seconds for which a session is tried to be resumed at most, whatever the relay says."""


class Welcome(NamedTuple):
    """What a relay has agreed to.

    @ivar received: frames of ours that it has.
    """

    session: str
    resumed: bool
    received: int
    resume_seconds: float


def welcome_of(text: bytes, machine: str) -> Welcome:
    """What it has agreed to.

    @raise PermissionDenied, Unavailable: it refuses, or is no relay of this version.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _no_relay()
    if answer.get("type") != "auth_ok":
        raise _refusal(answer)
    if answer.get("protocol_version", 1) == 1:
        raise Unavailable(
            f"the tunnel of {machine!r} has version 1, which this client does not speak",
            hint="run a kernel of this version there",
        )
    session, received = answer.get("session", ""), answer.get("received", 0)
    seconds = answer.get("resume_seconds", 60.0)
    if not (
        answer["protocol_version"] == 2
        and isinstance(session, str)
        and len(session) <= _MOST_SESSION
        and _is_number(received, int)
        and _is_number(seconds, (int, float))
        and 0 <= received <= _MOST_COUNT
        and 0 <= seconds <= _MOST_COUNT
    ):
        raise _no_relay()
    resumed = answer.get("resumed") is True
    return Welcome(session, resumed, received, min(float(seconds), _MOST_RESUME))


def is_drain(body: bytes) -> bool:
    """Whether CONTROL says that the relay is about to stop."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("type") == "drain"


def printable(text: str) -> str:
    """What the other side said, for an error."""
    return "".join(each if each.isprintable() else "?" for each in text[:_MOST_WORDS])


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _no_relay() -> CloveError:
    return Unavailable(
        "what answers there does not speak as a relay does", hint="is this the relay's address?"
    )


def _refusal(answer: dict[str, Any]) -> CloveError:
    words = printable(str(answer.get("error", "the relay refuses")))
    hint, code = printable(str(answer.get("hint", ""))), printable(str(answer.get("code", "")))
    if code in ("unavailable", "limit_exceeded", "timeout"):
        return Unavailable(words, hint=hint)
    return PermissionDenied(words, rule=code, hint=hint)
