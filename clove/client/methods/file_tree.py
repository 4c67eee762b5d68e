"""Directories and names of files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from clove.client.call import Call, Reply, StreamCall, optional
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        ListDirReply,
        MkdirReply,
        MoveReply,
        RemoveReply,
        StatReply,
        WatchReply,
    )

__all__ = [
    "list_directory",
    "make_directory",
    "move_file",
    "remove_file",
    "stat_file",
    "watch_directory",
]


def list_directory(
    path: str,
    *,
    after: str | None = None,
    limit: int | None = None,
    agent: str | int | None = None,
) -> Call[ListDirReply]:
    """The names in a directory, in order, as the caller's own view has it.

    @param after: from the first name after this one on: an earlier reply's `next`.
    @param limit: names at most (1000).
    @param agent: as this agent's view has it (name or id; for operators). So in all of these.
    @return: success, path, entries [{name, kind, size, mode, modified, escaped}], count, more,
        next, truncated, hidden.
    @raise NotFound, PermissionDenied, InvalidRequest:
    """
    fields = optional(path=path, after=after, limit=limit, agent=agent)
    return Call(Opcode.LISTDIR, fields, idempotent=True)


def stat_file(
    path: str, *, follow: bool | None = None, agent: str | int | None = None
) -> Call[StatReply]:
    """What a path is.

    @param follow: False: a link itself, not what it leads to.
    @return: success, exists, path (the real one), kind (file, directory, link, fifo, socket,
        device), size, mode, modified, links, target.
    """
    return Call(Opcode.STAT, optional(path=path, follow=follow, agent=agent), idempotent=True)


def make_directory(
    path: str,
    *,
    parents: bool | None = None,
    mode: int | None = None,
    agent: str | int | None = None,
) -> Call[MkdirReply]:
    """Make a directory.

    @param parents: those above it too; that it is there is no error then.
    @param mode: permission bits (0o755), without those of the umask.
    @return: success, created (how many).
    @raise AlreadyExists:
    """
    return Call(Opcode.MKDIR, optional(path=path, parents=parents, mode=mode, agent=agent))


def move_file(
    path: str, to: str, *, overwrite: bool | None = None, agent: str | int | None = None
) -> Call[MoveReply]:
    """Give a file or directory another path, in one step.

    @param overwrite: also over a file, or an empty directory, that is there.
    @return: success, moved.
    @raise AlreadyExists: something is there. @raise InvalidRequest: from one mount to another.
    """
    return Call(Opcode.MOVE, optional(path=path, to=to, overwrite=overwrite, agent=agent))


def remove_file(
    path: str,
    *,
    recursive: bool | None = None,
    missing_ok: bool | None = None,
    agent: str | int | None = None,
) -> Call[RemoveReply]:
    """Remove a file, a link itself, or an empty directory.

    @param recursive: a directory with all in it, but for what is mounted there.
    @param missing_ok: that there is nothing is no error.
    @return: success, removed (how many names).
    """
    fields = optional(path=path, recursive=recursive, missing_ok=missing_ok, agent=agent)
    return Call(Opcode.REMOVE, fields, patience=600.0 if recursive else 0.0)


def watch_directory(
    path: str, *, agent: str | int | None = None
) -> StreamCall[WatchReply, WatchReply]:
    """What changes in a directory, not below it, as it happens; until it is gone.

    The first piece, without events, says that it is watched from now on. Each has events
    [{event (created, removed, changed, moved_from, moved_to), name}] and lost: more happened
    before these than was kept, so list the directory.

    @raise LimitExceeded: too many are watched.
    """
    call: Call[WatchReply] = Call(Opcode.WATCH, optional(path=path, agent=agent), patience=None)
    return StreamCall(call, _whole)


def _whole(reply: Reply) -> Iterable[WatchReply]:
    return (reply,)  # type: ignore[return-value]
