"""Finding the script and the interpreter of a SPAWN as its caller sees them."""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded, NotFound
from clove.kernel.agents.finding import Sender, find_interpreter
from clove.kernel.agents.interpreter import own_interpreter
from clove.kernel.calls.files import require_view
from clove.kernel.files.lookup import find
from clove.policy import check_read, programs_of
from clove.regular import NotSmall, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable

    from clove.kernel.agents.interpreter import Interpreter
    from clove.kernel.context import Context
    from clove.kernel.principal import Principal
    from clove.kernel.registry import Registry
    from clove.messages.agents import SpawnRequest
    from clove.sandbox.interface import IFile

__all__ = ["ScriptFile", "find_program", "find_script"]


class ScriptFile:
    """A script that was found and may be read.

    @ivar path: its real path.
    @ivar interpreter: what runs it.
    @param opener: opens it, in a thread.
    @param limit: bytes that it may have.
    """

    def __init__(self, held: IFile, opener: Callable[[], int], limit: int) -> None:
        self.path = held.path
        self.interpreter = own_interpreter()
        self._held = held
        self._opener = opener
        self._limit = limit

    def load(self) -> bytes:
        """Its bytes. Blocking.

        @raise CloveError: it cannot be read, is not a regular file, or too long.
        """
        try:
            return read_regular(self._opener(), self._limit)
        except NotSmall as error:
            if error.errno == errno.EFBIG:
                raise LimitExceeded(f"a script has at most {self._limit} bytes") from None
            raise InvalidRequest(f"the script {error.strerror}") from None

    def close(self) -> None:
        """Let go of it. Idempotent."""
        self._held.close()


async def find_program(ctx: Context, request: SpawnRequest, limit: int) -> ScriptFile:
    """The script of a SPAWN, with its interpreter.

    @raise CloveError: see L{find_script} and L{find_interpreter}.
    """
    script = await find_script(ctx, request.script, limit)
    try:
        if request.python:
            script.interpreter = await _find_python(ctx, request.python, mounted=request.sandboxed)
    except BaseException:
        script.close()
        raise
    return script


async def _find_python(ctx: Context, asked: str, *, mounted: bool) -> Interpreter:
    principal = ctx.principal

    check = functools.partial(_check_readers, ctx.kernel.registry, principal, asked)
    own_programs = programs_of(principal.permissions).allowed is None
    sender = Sender(principal.sandboxed, own_programs, check)
    threads = ctx.kernel.threads.of(principal.family, principal.agent_id)
    view = await require_view(ctx)
    return await find_interpreter(view, sender, threads, asked, mounted=mounted)


def _check_readers(registry: Registry, principal: Principal, asked: str, path: str) -> None:
    """May whoever named an interpreter read a part of it still?

    It is asked again at each restart of the child. When the parent has ended, nobody narrows
    it any more; but those above it.

    @raise PermissionDenied: it, or an ancestor of it that lives, may not.
    """
    above = (registry.get(agent_id) for agent_id in principal.ancestors)
    for one in (principal, *above):
        if one is not None and not one.is_operator:
            check_read(one.permissions, path).require(f"SPAWN with {asked!r}")


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
