"""What the calls of `clove.messages.file_tree` give. Made by tools/results.py: do not edit."""

from typing import TypedDict

from clove.client.results.base import Reply

__all__ = [
    "DirectoryEntry",
    "FileChange",
    "ListDirReply",
    "MkdirReply",
    "MoveReply",
    "RemoveReply",
    "StatReply",
    "WatchReply",
]


class DirectoryEntry(TypedDict):
    """A name in a directory; a link itself, and not what it leads to.

    @ivar kind: file, directory, link, fifo, socket or device.
    @ivar size, mode, modified: bytes, permission bits, seconds since the epoch; null: it is gone
        by now, or may not be looked at.
    @ivar escaped: the name is no Unicode, and shown with its bytes escaped: no path leads to it.
    """

    name: str
    kind: str
    size: int | None
    mode: int | None
    modified: float | None
    escaped: bool


class ListDirReply(Reply):
    """Names in order.

    @ivar more: there are more, for C{next} as C{after}: the last name that was looked at, or a place
        between names that look the same.
    @ivar truncated: the directory has more names than the kernel looks at.
    @ivar hidden: names that the caller's permissions do not let it read.
    """

    path: str
    entries: list[DirectoryEntry]
    count: int
    more: bool
    next: str
    truncated: bool
    hidden: int


class StatReply(Reply):
    """What a path is.

    @ivar path: the real path, links resolved.
    @ivar target: where a link leads, as it is written there.
    """

    path: str
    exists: bool
    kind: str
    size: int
    mode: int
    modified: float
    links: int
    target: str


class MkdirReply(Reply):
    """How many directories were made."""

    created: int


class MoveReply(Reply):
    """Whether it was moved."""

    moved: bool


class RemoveReply(Reply):
    """How many names were removed."""

    removed: int


class FileChange(TypedDict):
    """What has happened to a name: created, removed, changed, moved_from or moved_to."""

    event: str
    name: str


class WatchReply(Reply):
    """The first reply, which is empty, says that it is watched from now on; the last says `ended`.

    @ivar lost: more happened before these than was kept; list the directory.
    """

    events: list[FileChange]
    lost: bool
    ended: bool
