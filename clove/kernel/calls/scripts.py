"""Finding the script of a SPAWN as its caller sees it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded, NotFound
from clove.kernel.calls.files import require_view
from clove.kernel.files.lookup import find
from clove.policy import check_read

if TYPE_CHECKING:
    from collections.abc import Callable

    from clove.kernel.context import Context
    from clove.sandbox.interface import IFile

__all__ = ["ScriptFile", "find_script"]


class ScriptFile:
    """A script that was found and may be read.

    @ivar path: its real path.
    @param opener: opens it, in a thread.
    @param limit: bytes that it may have.
    """

    def __init__(self, held: IFile, opener: Callable[[], int], limit: int) -> None:
        self.path = held.path
        self._held = held
        self._opener = opener
        self._limit = limit

    def load(self) -> bytes:
        """Its bytes. Blocking.

        @raise CloveError: it cannot be read, is not a regular file, or too long.
        """
        with open(self._opener(), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidRequest("the script is not a regular file")
            source = file.read(self._limit + 1)
        if len(source) > self._limit:
            raise LimitExceeded(f"a script has at most {self._limit} bytes")
        return source

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._held.close()


async def find_script(ctx: Context, path: str, limit: int) -> ScriptFile:
    """Where a script really is; the caller must be allowed to read it.

    @param limit: bytes that it may have.
    @raise NotFound: there is no such file.
    @raise InvalidRequest: it is not a regular file.
    @raise PermissionDenied: the caller may not read it.
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
        return ScriptFile(held, await held.opener(os.O_RDONLY), limit)
    except BaseException:
        held.close()
        raise
