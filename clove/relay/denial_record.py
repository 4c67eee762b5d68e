"""Something that a relay has refused, as it is kept. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

__all__ = ["SHARE", "STRANGERS", "Denial", "DenialKind", "Refusal"]

DenialKind = Literal["token", "route", "site", "connection", "kernel"]
"""token: one that is not valid, or too many of them; route: a token of a kind that may not call it, or what its
bearer may not do; site: a Host or Origin that is not ours; connection: a tunnel or a remote agent;
kernel: what a machine's kernel refused to a caller over REST."""
SHARE: Final = 4
"""One caller has a quarter of the entries at most."""
STRANGERS: Final = 2
"""All that have shown no token have half of them at most: no crowd washes out what was refused to a token."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What was refused, and to whom: all that is shown of it but when.

    @ivar source: the address that asked.
    @ivar token_id: "" where no valid token was shown.
    @ivar what: method and path of the route, or what a connection wanted to be.
    """

    kind: DenialKind
    source: str
    token_id: str = ""
    machine_id: str = ""
    what: str = ""
    code: str = ""
    rule: str = ""
    error: str = ""


class Denial(msgspec.Struct, kw_only=True):
    """One refusal, or several of the same within a minute.

    @ivar id: of its relay; in the store, of all.
    @ivar at, last: seconds since the epoch, of the first and the last.
    @ivar count: how many.
    @ivar caller: that of which there is a share.
    """

    id: int
    at: float
    last: float
    refusal: Refusal
    caller: str
    count: int = 1
