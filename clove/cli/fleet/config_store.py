"""Writing ~/.clove/config.yaml: whole or not at all, private from its first byte on, one command at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from clove.cli.fleet.config_file import MOST, config_path, parse_config, read_text
from clove.errors import LimitExceeded, Unavailable
from clove.regular import write_whole

__all__ = ["update_config"]


def update_config(change: Callable[[str], str]) -> None:
    """Change the file's text; it and its directory are made if they are missing.

    @param change: gets the text that there is, and gives the new one.
    @raise CloveError: the file is not private, or wrong, or cannot be written.
    """
    path = config_path()
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        held = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            text = change(read_text() or "")
            parse_config(text)
            if len(text.encode()) > MOST:
                raise LimitExceeded(f"{path} would have more than {MOST} bytes")
            write_whole(os.path.realpath(path), text.encode())
        finally:
            os.close(held)
    except OSError as error:
        raise Unavailable(
            f"cannot write {path}: {error.strerror}", hint="what was there is unchanged"
        ) from None
