"""The relay that the operator has had this kernel join (TUNNEL_CONNECT), kept for its next start.

A file in the state directory beside the tunnel's key. What it has comes second to the configuration's. All
functions block; they are called in threads.
"""

from __future__ import annotations

import contextlib
import os
from typing import Annotated, Final

import msgspec

from clove.errors import Unavailable
from clove.regular import existing, read_secret, write_whole

__all__ = ["Joined", "forget_joined", "keep_joined", "read_joined"]

_FILE: Final = "joined"
_MOST: Final = 8192


class Joined(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is dialled; no token is needed, since the relay knows the key."""

    relay_url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    machine_id: Annotated[str, msgspec.Meta(max_length=128)]


def read_joined(directory: str) -> Joined | None:
    """What is kept; None: nothing.

    @param directory: of the tunnel's key.
    @raise Unavailable: it cannot be read, or is damaged.
    """
    path = existing(os.path.join(directory, _FILE))
    if path is None:
        return None
    try:
        return msgspec.json.decode(read_secret(path, _MOST), type=Joined)
    except (ValueError, RecursionError) as error:
        raise Unavailable(
            f"the relay that this kernel had joined cannot be read from {path}: {error}",
            hint="clove tunnel leave forgets it; then join again",
        ) from None


def keep_joined(directory: str, joined: Joined) -> None:
    """Keep it.

    @raise OSError: it cannot be written; what was kept stays.
    """
    write_whole(os.path.join(directory, _FILE), msgspec.json.encode(joined) + b"\n")


def forget_joined(directory: str) -> None:
    """Keep nothing. Idempotent.

    @raise Unavailable: it cannot be removed.
    """
    path = os.path.join(directory, _FILE)
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be removed: {error.strerror}",
            hint="remove it, or the kernel dials that relay at its next start",
        ) from None
