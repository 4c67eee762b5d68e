"""LISTDIR, STAT, MKDIR, MOVE, REMOVE and WATCH."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clove.messages.base import Reply, Request
from clove.messages.files import AgentRef

__all__ = [
    "DirectoryEntry",
    "FileChange",
    "ListDirReply",
    "ListDirRequest",
    "MkdirReply",
    "MkdirRequest",
    "MoveReply",
    "MoveRequest",
    "RemoveReply",
    "RemoveRequest",
    "StatReply",
    "StatRequest",
    "WatchReply",
    "WatchRequest",
]


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A name in a directory; a link itself, and not what it leads to.

    @ivar kind: file, directory, link, fifo, socket or device.
    @ivar size, mode, modified: bytes, permission bits, seconds since the epoch; null: it is gone
        by now, or may not be looked at.
    @ivar escaped: the name is no Unicode, and shown with its bytes escaped: no path leads to it.
    """

    name: str
    kind: str
    size: int | None = None
    mode: int | None = None
    modified: float | None = None
    escaped: bool = False


class ListDirRequest(Request, frozen=True, kw_only=True):
    """List a directory by name, from the first name after `after` on."""

    path: str
    agent: AgentRef | None = None
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000


class ListDirReply(Reply, frozen=True, kw_only=True):
    """Names in order.

    @ivar more: there are more, for C{next} as C{after}: the last name that was looked at, or a place
        between names that look the same.
    @ivar truncated: the directory has more names than the kernel looks at.
    @ivar hidden: names that the caller's permissions do not let it read.
    """

    path: str = ""
    entries: list[DirectoryEntry] = []
    count: int = 0
    more: bool = False
    next: str = ""
    truncated: bool = False
    hidden: int = 0


class StatRequest(Request, frozen=True, kw_only=True):
    """Look at a path. `follow`: what a link leads to, and not the link."""

    path: str
    agent: AgentRef | None = None
    follow: bool = True


class StatReply(Reply, frozen=True, kw_only=True):
    """What a path is.

    @ivar path: the real path, links resolved.
    @ivar target: where a link leads, as it is written there.
    """

    path: str = ""
    exists: bool = False
    kind: str = ""
    size: int = 0
    mode: int = 0
    modified: float = 0.0
    links: int = 0
    target: str = ""


class MkdirRequest(Request, frozen=True, kw_only=True):
    """Make a directory. `parents`: those above it too; that it is there is no error then."""

    path: str
    agent: AgentRef | None = None
    parents: bool = False
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o777)] = 0o755


class MkdirReply(Reply, frozen=True, kw_only=True):
    """How many directories were made."""

    created: int = 0


class MoveRequest(Request, frozen=True, kw_only=True):
    """Give a file or directory another path, in one step. `overwrite`: also over what is there."""

    path: str
    to: str
    agent: AgentRef | None = None
    overwrite: bool = False


class MoveReply(Reply, frozen=True, kw_only=True):
    """Whether it was moved."""

    moved: bool = False


class RemoveRequest(Request, frozen=True, kw_only=True):
    """Remove a file, a link itself, or a directory. `recursive`: with all in it.

    `missing_ok`: that there is nothing is no error.
    """

    path: str
    agent: AgentRef | None = None
    recursive: bool = False
    missing_ok: bool = False


class RemoveReply(Reply, frozen=True, kw_only=True):
    """How many names were removed."""

    removed: int = 0


class WatchRequest(Request, frozen=True, kw_only=True):
    """Tell what changes in a directory (not below it), until it is gone or this is cancelled."""

    path: str
    agent: AgentRef | None = None


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened to a name: created, removed, changed, moved_from or moved_to."""

    event: str
    name: str


class WatchReply(Reply, frozen=True, kw_only=True):
    """The first reply, which is empty, says that it is watched from now on; the last says `ended`.

    @ivar lost: more happened before these than was kept; list the directory.
    """

    events: list[FileChange] = []
    lost: bool = False
    ended: bool = False
