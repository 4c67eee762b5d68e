"""Directories that stay when an agent has ended, by name: this user's own, on this host."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Final, NamedTuple

from clove.cli.option_types import DirectoryGrant
from clove.errors import InvalidRequest, NotFound, Unavailable
from clove.spelling import near

__all__ = ["Workspace", "find_workspace", "known_workspaces", "new_name", "open_workspace"]

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class Workspace(NamedTuple):
    """One that is there.

    @ivar changed: seconds since the epoch, when something was made or removed directly in it.
    """

    name: str
    path: Path
    changed: float


def workspace_directory() -> Path:
    """Where they are."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (
        Path(base if base.startswith("/") else "~/.local/share").expanduser() / "clove/workspaces"
    )


def known_workspaces() -> list[Workspace]:
    """All, by their names."""
    try:
        paths = sorted(path for path in workspace_directory().iterdir() if path.is_dir())
    except OSError:
        return []
    return [Workspace(path.name, path, path.stat().st_mtime) for path in paths]


def find_workspace(name: str) -> Workspace:
    """One by its name.

    @raise NotFound: there is none.
    """
    known = known_workspaces()
    for one in known:
        if one.name == name:
            return one
    names = tuple(one.name for one in known)
    raise NotFound(f"no such workspace: {name!r}", hint=near(name, names) if names else "")


def new_name(stem: str) -> str:
    """A name for one that is kept, of what ran and when."""
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip(".-") or "run"
    return f"{clean[:60]}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def open_workspace(name: str) -> DirectoryGrant:
    """One by its name, made if it is not there yet, to be granted for writing.

    @raise InvalidRequest: it is no name.
    @raise Unavailable: it cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} is no name of a workspace", hint="1 to 100 of A-Z a-z 0-9 . _ -"
        )
    path = workspace_directory() / name
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"workspace {path}: {error.strerror}") from None
    return DirectoryGrant(os.path.realpath(path), True)
