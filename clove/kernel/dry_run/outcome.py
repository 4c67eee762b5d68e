"""What a dry run came to, read from what it printed. Pure.

Where the sandbox has one, an interpreter that no agent can have exchanged prints it. An agent's own
may be any program: then the output is held to its form, and the outcome is not reliable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

__all__ = ["FAILED", "NOT_TRIED", "SUCCEEDED", "Outcome", "read_outcome", "shown"]

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
NOT_TRIED: Final = "not tried"
MOST_CHARACTERS: Final = 400


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happened.

    @ivar tried: what was tried, in words; empty if nothing was.
    @ivar happened: L{SUCCEEDED}, L{FAILED} or L{NOT_TRIED}.
    @ivar error: the operating system's words for a failure.
    @ivar errno_name: such as EACCES; of a look-up, such as EAI_NONAME.
    @ivar sandbox: the isolation of the throw-away sandbox; empty without one.
    @ivar reliable: the kernel knows that it happened. False: a program that is not the
        kernel's says so.
    """

    tried: str = ""
    happened: str = NOT_TRIED
    error: str = ""
    errno_name: str = ""
    detail: str = ""
    sandbox: Mapping[str, Any] = msgspec.field(default_factory=dict)
    reliable: bool = True

    @property
    def succeeded(self) -> bool | None:
        """Whether it did; None: nothing was tried, or it is not known."""
        known = self.reliable and self.happened != NOT_TRIED
        return self.happened == SUCCEEDED if known else None

    def with_detail(self, *parts: str) -> Outcome:
        """The same with more said."""
        return replace(self, detail="; ".join(part for part in (self.detail, *parts) if part))

    def to_wire(self) -> dict[str, Any]:
        """The `attempt` of WHY's reply."""
        return {
            "tried": self.tried,
            "happened": self.happened,
            "error": self.error,
            "errno_name": self.errno_name,
            "detail": self.detail,
            "sandbox": dict(self.sandbox),
            "reliable": self.reliable,
        }


def read_outcome(tried: str, output: bytes, ending: str) -> Outcome:
    """The outcome in the last line of a dry run's output.

    @param ending: how its process ended, for one that printed none.
    """
    nothing = Outcome(tried=tried, detail=f"the dry run gave no result: {ending}")
    try:
        last = json.loads(output.strip().rpartition(b"\n")[2])
    except (ValueError, RecursionError):
        return nothing
    if not isinstance(last, dict) or last.get("happened") not in (SUCCEEDED, FAILED, NOT_TRIED):
        return nothing
    return Outcome(
        tried=tried,
        happened=last["happened"],
        error=shown(last.get("error")),
        errno_name=shown(last.get("errno_name")),
        detail=shown(last.get("detail")),
    )


def shown(value: object) -> str:
    """A text that can be shown, encoded and kept."""
    if not isinstance(value, str):
        return ""
    short = value[:MOST_CHARACTERS].encode(errors="backslashreplace").decode()
    return "".join(one if one.isprintable() else "?" for one in short)
