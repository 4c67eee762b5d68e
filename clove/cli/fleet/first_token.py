"""The first admin token of a relay that was started here: it becomes the context `local`, if there is none yet."""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from clove.regular import read_secret

__all__ = ["CONTEXT", "Kept", "keep_first_token"]

CONTEXT: Final = "local"
FILE: Final = "admin-token"
"""Where a relay leaves it, in its state directory (docs/fleet.md)."""
MOST: Final = 1024


class Kept(NamedTuple):
    """Where the token is.

    @ivar place: C{context local}, or a file's path; "": there was none.
    @ivar text: the same for a person; "" if there is nothing to say.
    """

    place: str
    text: str


def keep_first_token(state_dir: str, rest: str, hub: str) -> Kept:
    """Move the token from the relay's file to the user's contexts, where there is none.

    @param rest: URL of the relay's REST API.
    @param hub: URL of its WebSockets.
    @raise CloveError: the file of contexts is wrong, or cannot be written; the relay's file stays.
    """
    from clove.cli.fleet.context import read_contexts

    path = os.path.join(state_dir, FILE)
    if not os.path.lexists(path):
        return Kept("", "")
    if os.stat(state_dir).st_uid != os.geteuid():  # its address is that user's word as well
        text = f"its admin token is in {path}, which is another user's: it stays there"
        return Kept(path, text)
    if read_contexts().contexts or not rest.startswith("http://"):
        name = "its address has a name, by which its certificate is checked"
        why = name if rest.startswith("https:") else "there are contexts already"
        text = f"its admin token is in {path} ({why}): clove login URL < {path}, then remove it"
        return Kept(path, text)
    from clove.cli.fleet.kept_token import keep_token

    try:
        token = read_secret(path, MOST).decode().strip()
    except (ValueError, UnicodeDecodeError) as error:
        return Kept(path, f"its admin token stays where it is: {error}")
    keep_token(CONTEXT, {"relay": rest, "hub": hub}, token, keyring=False)
    os.unlink(path)
    return Kept(
        f"context {CONTEXT}", f"its admin token is in your context `{CONTEXT}`: clove status"
    )
