"""LISTDIR, STAT, MKDIR, MOVE, REMOVE and WATCH."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from clove.errors import InvalidRequest, NotFound
from clove.kernel.calls.views import agent_of, view_of
from clove.kernel.files import changes
from clove.kernel.files.listing import Listing, Name, page, read_names
from clove.kernel.held import run_on_descriptor
from clove.messages.file_tree import (
    DirectoryEntry,
    FileChange,
    ListDirReply,
    MkdirReply,
    MoveReply,
    RemoveReply,
    StatReply,
    WatchReply,
)
from clove.policy import check_read

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.context import Context
    from clove.kernel.files.watches import Watch
    from clove.messages.file_tree import (
        ListDirRequest,
        MkdirRequest,
        MoveRequest,
        RemoveRequest,
        StatRequest,
        WatchRequest,
    )
    from clove.sandbox.interface import Facts, IFile

__all__ = ["list_directory", "mkdir", "move", "remove", "stat", "watch"]

AT_ONCE = 128
"""Names that are looked at in one go: what init says of them fits into a packet."""
PAUSE = 0.1
"""Seconds between two looks at a watch: who renames files in a loop keeps nobody else waiting."""


async def list_directory(ctx: Context, request: ListDirRequest) -> ListDirReply:
    """The names in a directory, with what they are."""
    view, cwd = await view_of(ctx, request.agent)
    permissions = ctx.principal.permissions
    held = await changes.resolve_judged(view, permissions, request.path, cwd, "LISTDIR")
    try:
        if held.kind == "missing":
            raise NotFound(f"no such file or directory: {request.path!r}")
        if held.kind != "directory":
            raise InvalidRequest(f"{request.path!r} is a {held.kind}, not a directory")
        descriptor = await held.open(os.O_RDONLY | os.O_DIRECTORY)
        threads = ctx.kernel.threads.of(ctx.principal.path)
        most = ctx.kernel.file_limits.listed
        listing: Listing = await run_on_descriptor(
            threads, descriptor, read_names, request.path, most
        )
        part = page(listing.names, request.after, request.limit)
        entries, hidden = await _entries(ctx, held, part.names)
    finally:
        held.close()
    return ListDirReply(
        path=held.path,
        entries=entries,
        count=len(entries),
        more=part.more,
        next=part.next,
        truncated=listing.truncated,
        hidden=hidden,
    )


async def _entries(
    ctx: Context, held: IFile, names: list[Name]
) -> tuple[list[DirectoryEntry], int]:
    """What the names that may be read are, and how many others there are.

    The rules are an agent's own choice, and slow to ask about thousands of names: so others have
    their turn in between, as C{facts} is answered elsewhere (also for none).
    """
    entries: list[DirectoryEntry] = []
    above, hidden = held.path.rstrip("/"), 0
    for begin in range(0, len(names), AT_ONCE):
        permissions = ctx.principal.permissions
        some = [
            one
            for one in names[begin : begin + AT_ONCE]
            if check_read(permissions, f"{above}/{one.text}").allowed
        ]
        hidden += len(names[begin : begin + AT_ONCE]) - len(some)
        facts = await held.facts([one.raw for one in some if not one.escaped])
        known = iter(facts)
        entries += [_entry(one, None if one.escaped else next(known, None)) for one in some]
    return entries, hidden


def _entry(name: Name, facts: Facts | None) -> DirectoryEntry:
    if facts is None:
        return DirectoryEntry(name=name.text, kind=name.kind, escaped=name.escaped)
    return DirectoryEntry(
        name=name.text,
        kind=facts.kind,
        size=facts.size,
        mode=facts.mode,
        modified=facts.modified,
    )


async def stat(ctx: Context, request: StatRequest) -> StatReply:
    """What a path is; that there is nothing is no error."""
    view, cwd = await view_of(ctx, request.agent)
    permissions = ctx.principal.permissions
    try:
        if request.follow:
            held = await changes.resolve_judged(view, permissions, request.path, cwd, "STAT")
            try:
                [facts] = await held.facts()
            finally:
                held.close()
            real, target = held.path, ""
        else:
            entry = await changes.enter_judged(
                view, permissions, request.path, cwd, "STAT", check_read
            )
            try:
                facts, target = await entry.facts()
            finally:
                entry.close()
            real = entry.path
    except NotFound:
        return StatReply()
    if facts is None:
        return StatReply()
    return StatReply(
        path=real,
        exists=True,
        kind=facts.kind,
        size=facts.size,
        mode=facts.mode,
        modified=facts.modified,
        links=facts.links,
        target=target.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
    )


async def mkdir(ctx: Context, request: MkdirRequest) -> MkdirReply:
    """Make a directory."""
    view, cwd = await view_of(ctx, request.agent)
    created = await changes.make_directories(
        view,
        ctx.principal.permissions,
        request.path,
        cwd,
        parents=request.parents,
        mode=request.mode,
    )
    return MkdirReply(created=created)


async def move(ctx: Context, request: MoveRequest) -> MoveReply:
    """Give a file or directory another path."""
    view, cwd = await view_of(ctx, request.agent)
    permissions = ctx.principal.permissions
    await changes.move(
        view, permissions, request.path, request.to, cwd, overwrite=request.overwrite
    )
    return MoveReply(moved=True)


async def remove(ctx: Context, request: RemoveRequest) -> RemoveReply:
    """Remove a file, a link or a directory."""
    view, cwd = await view_of(ctx, request.agent)
    permissions, limits = ctx.principal.permissions, ctx.kernel.file_limits
    try:
        removed = await changes.remove(
            view, permissions, request.path, cwd, limits, recursive=request.recursive
        )
    except NotFound:
        if not request.missing_ok:
            raise
        removed = 0
    return RemoveReply(removed=removed)


@contextlib.contextmanager
def _ends_with(agent: Agent | None, watched: Watch) -> Iterator[None]:
    """Its end is the end of a watch: a directory of the host, which it was granted, may stay."""
    ended: Deferred[None] = Deferred() if agent is None else agent.wait()
    ended.addCallbacks(lambda _: watched.end(), lambda _: None)
    try:
        yield
    finally:
        ended.cancel()


async def watch(ctx: Context, request: WatchRequest) -> WatchReply:
    """Tell what changes in a directory, at the client's pace, until it or the agent that was named is gone.

    @raise InvalidRequest: version 1; or it is no directory.
    @raise LimitExceeded: too many are watched.
    """
    stream = ctx.stream
    if stream is None:
        raise InvalidRequest("WATCH needs protocol version 2", hint="send HELLO first")
    watches, family = ctx.kernel.watches, ctx.principal.family
    watches.check(family)
    agent = None if request.agent is None else agent_of(ctx, request.agent)
    view, cwd = await view_of(ctx, request.agent)
    permissions = ctx.principal.permissions
    held = await changes.resolve_judged(view, permissions, request.path, cwd, "WATCH")
    try:
        if held.kind == "missing":
            raise NotFound(f"no such file or directory: {request.path!r}")
        if held.kind != "directory":
            raise InvalidRequest(f"{request.path!r} is a {held.kind}, not a directory")
        descriptor, above = await held.watch(), held.path.rstrip("/")
    finally:
        held.close()
    with watches.held(family, descriptor) as watched, _ends_with(agent, watched):
        stream(WatchReply())
        while True:
            found = await watched.changes()
            permissions = ctx.principal.permissions  # they may have been narrowed meanwhile
            shown = [
                FileChange(event=one.event, name=one.name)
                for one in found
                if one.name and check_read(permissions, f"{above}/{one.name}").allowed
            ]
            told = {one.event for one in found}
            await stream.clear()
            if "gone" in told:
                return WatchReply(events=shown, lost="lost" in told, ended=True)
            if shown or "lost" in told:
                stream(WatchReply(events=shown, lost="lost" in told))
            await deferLater(ctx.kernel.clock, PAUSE)
