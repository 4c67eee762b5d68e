"""Reading the script of a SPAWN as its caller sees it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded, NotFound
from clove.kernel.calls.files import require_view
from clove.kernel.files.lookup import find
from clove.kernel.threads import to_the_end
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
    principal = ctx.principal
    held = await find(
        await require_view(ctx),
        principal.permissions,
        path,
        cwd=principal.cwd,
        check=check_read,
        what="SPAWN",
    )
    try:
        if held.kind == "missing":
            raise NotFound(f"no such script: {path!r}", hint="give the script's absolute path")
        descriptor = await held.open(os.O_RDONLY)
    finally:
        held.close()
    try:
        source = await to_the_end(ctx.kernel.threads.run(_read, descriptor, limit))
    finally:
        os.close(descriptor)
    return held.path, source


def _read(descriptor: int, limit: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidRequest("the script is not a regular file")
        source = file.read(limit + 1)
    if len(source) > limit:
        raise LimitExceeded(f"a script has at most {limit} bytes")
    return source
