"""Reading the script of a SPAWN as its caller sees it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded, NotFound, PermissionDenied
from clove.kernel.files import absolute, normalise
from clove.policy import check_read

if TYPE_CHECKING:
    from clove.kernel.context import Context

__all__ = ["read_script"]


async def read_script(ctx: Context, path: str, limit: int) -> tuple[str, bytes]:
    """The script's real path and its bytes; the caller must be allowed to read it.

    @param limit: bytes that a script may have.
    @raise NotFound: there is no such file.
    @raise InvalidRequest: it is not a regular file.
    @raise PermissionDenied: the caller may not read it.
    @raise LimitExceeded: it is too long.
    """
    view = ctx.principal.view
    if view is None:
        raise PermissionDenied("your user id has no files here", rule="peer-uid")
    if ctx.principal.cwd is not None:
        path = absolute(path, ctx.principal.cwd)
    if path.startswith("/"):
        check_read(ctx.principal.permissions, normalise(path)).require("SPAWN")
    held = await view.resolve(path)
    try:
        if held.kind == "missing":
            raise NotFound(f"no such script: {path!r}", hint="give the script's absolute path")
        if held.kind != "file":
            raise InvalidRequest(f"the script {path!r} is a {held.kind}, not a file")
        check_read(ctx.principal.permissions, held.path).require("SPAWN")
        descriptor = await held.open(os.O_RDONLY)
        source = await ctx.kernel.threads.run(_read, descriptor, limit)
    finally:
        held.close()
    return held.path, source


def _read(descriptor: int, limit: int) -> bytes:
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidRequest("the script is not a regular file")
        source = file.read(limit + 1)
    if len(source) > limit:
        raise LimitExceeded(f"a script has at most {limit} bytes")
    return source
