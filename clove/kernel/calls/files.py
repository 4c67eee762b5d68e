"""READ and WRITE."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clove.errors import AlreadyExists
from clove.kernel.calls.views import view_of
from clove.kernel.files import decode_content, find, read_slice, write_content
from clove.kernel.held import run_on_descriptor
from clove.messages.files import ReadRequest, WriteReply, WriteRequest
from clove.policy import check_read, check_write

if TYPE_CHECKING:
    from clove.kernel.context import Context
    from clove.threads.threads import Threads

__all__ = ["read", "write"]

_TRIES = 3


async def read(ctx: Context, request: ReadRequest) -> bytes:
    """Read a file. Replies with a L{clove.messages.files.ReadReply} as JSON."""
    view, cwd = await view_of(ctx, request.agent)
    held = await find(
        view,
        ctx.principal.permissions,
        request.path,
        cwd=cwd,
        check=check_read,
        what="READ",
    )
    try:
        descriptor = await held.open(os.O_RDONLY)
    finally:
        held.close()
    return await run_on_descriptor(
        _threads(ctx),
        descriptor,
        read_slice,
        request.path,
        offset=request.offset,
        limit=request.limit,
        encoding=request.encoding,
        most=ctx.kernel.file_limits.read_bytes,
    )


async def write(ctx: Context, request: WriteRequest) -> WriteReply:
    """Write a file, or add to it."""
    data = decode_content(request.content, request.encoding)
    append = request.mode == "append"
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0)
    view, cwd = await view_of(ctx, request.agent)
    for left in reversed(range(_TRIES)):
        held = await find(
            view,
            ctx.principal.permissions,
            request.path,
            cwd=cwd,
            check=check_write,
            what="WRITE",
        )
        try:
            descriptor = await held.open(flags)
            break
        except AlreadyExists:  # made since we looked: look again
            if not left:
                raise
        finally:
            held.close()
    written = await run_on_descriptor(
        _threads(ctx), descriptor, write_content, request.path, data, append=append
    )
    return WriteReply(bytes_written=written)


def _threads(ctx: Context) -> Threads:
    """The caller's."""
    return ctx.kernel.threads.of(ctx.principal.path)
