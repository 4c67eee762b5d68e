"""The id of a relay, which kernels pin when they join it. Blocking."""

from __future__ import annotations

import os
import re
import secrets

from clove.errors import Unavailable
from clove.regular import read_regular, write_whole

__all__ = ["is_relay_id", "own_relay_id"]

_FORM = re.compile(rb"[0-9a-f]{32}")


def is_relay_id(data: bytes) -> bool:
    """Whether it can be one."""
    return _FORM.fullmatch(data) is not None


def own_relay_id(directory: str) -> str:
    """The id that a state directory keeps; made at the first call.

    Without it no kernel that has joined would speak to this relay again: it belongs into a backup.

    @raise Unavailable: it cannot be read or made.
    """
    path = os.path.join(directory, "relay.id")
    try:
        if not os.path.lexists(path):
            write_whole(path, secrets.token_hex(16).encode())
        found = read_regular(path, 64).strip()
    except OSError as error:
        raise Unavailable(f"cannot use {path}: {error}", hint="see --state-dir") from None
    if not is_relay_id(found):
        raise Unavailable(f"{path} holds no relay's id", hint="restore it from a backup")
    return found.decode()
