"""Finding the script and the interpreter of a SPAWN as its caller sees them."""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, LimitExceeded, NotFound
from clove.kernel.files.lookup import find
from clove.kernel.launch.interpreter_search import Sender, find_interpreter
from clove.kernel.mounts.interpreter import own_interpreter
from clove.policy import check_read, programs_of
from clove.regular import NotSmall, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clove.kernel.context import Context
    from clove.kernel.launch.record import AgentRecord
    from clove.kernel.principal import Principal
    from clove.kernel.registry import Registry
    from clove.messages.agents import SpawnRequest
    from clove.policy import Permissions
    from clove.sandbox.interface import IFile

__all__ = ["Command", "ScriptFile", "check_recorded_readers", "find_program", "find_script"]


def _may_read(path: str) -> None:
    """Raise nothing: the request named no interpreter, so it is the kernel's."""


class ScriptFile:
    """A script that was found and may be read.

    @see: L{clove.kernel.launch.program.Program}, which it is.
    @param source: its path on the host; "" if it is not there.
    @param opener: opens it, in a thread.
    @param limit: bytes that it may have.
    """

    found_now = True

    def __init__(self, held: IFile, source: str, opener: Callable[[], int], limit: int) -> None:
        self.path = held.path
        self.source = source
        self.interpreter = own_interpreter()
        self.reader: Permissions | None = None
        self.check = _may_read
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
        except OSError as error:
            raise InvalidRequest(f"the script cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """Release it. Idempotent."""
        self._held.close()


class Command:
    """A command, which is looked for when it starts, where it starts.

    @see: L{clove.kernel.launch.program.Program}, which it is.
    """

    found_now = True
    path = ""
    source = ""

    def __init__(self) -> None:
        self.interpreter = own_interpreter()
        self.reader: Permissions | None = None
        self.check = _may_read

    def load(self) -> None:
        """There is no script."""

    def close(self) -> None:
        """Nothing is held."""


async def find_program(ctx: Context, request: SpawnRequest, limit: int) -> ScriptFile | Command:
    """The script of a SPAWN, with its interpreter; or its command, with the one that it named.

    @raise CloveError: see L{find_script} and L{find_interpreter}.
    """
    if request.script is not None:
        program: ScriptFile | Command = await find_script(ctx, request.script, limit)
    else:
        if not ctx.principal.is_remote:  # its agents are sandboxed, and have programs there
            await ctx.principal.require_view()  # one that sees no files starts no programs
        program = Command()
    try:
        if request.python:
            await _find_python(ctx, program, request.python, mounted=request.sandboxed)
    except BaseException:
        program.close()
        raise
    return program


async def _find_python(
    ctx: Context, script: ScriptFile | Command, asked: str, *, mounted: bool
) -> None:
    """Have the interpreter that was named run a script, or come along with a command."""
    principal = ctx.principal
    check = functools.partial(_check_readers, ctx.kernel.registry, principal, asked)
    own_programs = programs_of(principal.permissions).allowed is None
    sender = Sender(principal.sandboxed, own_programs, check)
    threads = ctx.kernel.threads.of(principal.path)
    view = await ctx.principal.require_view()
    script.interpreter = await find_interpreter(view, sender, threads, asked, mounted=mounted)
    script.check = check
    script.reader = None if principal.is_operator else principal.permissions


def _check_readers(registry: Registry, principal: Principal, asked: str, path: str) -> None:
    """May the principal that named an interpreter still read a part of it?

    It is asked again at each restart of the child. After the parent has ended its permissions
    cannot be narrowed any more, so its ancestors are asked as well.

    @raise PermissionDenied: it, or an ancestor of it that lives, may not.
    """
    if not principal.is_operator:
        check_read(principal.permissions, path).require(f"SPAWN with {asked!r}")
    _check_live_readers(registry, principal.ancestors, asked, path)


def check_recorded_readers(registry: Registry, record: AgentRecord, path: str) -> None:
    """The same for an agent that starts from a record, whose parent may have ended.

    @raise PermissionDenied: its parent might not when the agent was spawned, or those of its
        ancestors that live may not.
    """
    asked = str(record.request.python)
    reader = None if record.program is None else record.program.reader
    if reader is not None:
        check_read(reader, path).require(f"SPAWN with {asked!r}")
    _check_live_readers(registry, record.ancestors, asked, path)


def _check_live_readers(
    registry: Registry, ancestors: Iterable[int], asked: str, path: str
) -> None:
    for one in map(registry.get, ancestors):
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
    view = await ctx.principal.require_view()
    held = await find(
        view,
        principal.permissions,
        path,
        cwd=principal.cwd,
        check=check_read,
        what="SPAWN",
    )
    try:
        if held.kind == "missing":
            raise NotFound(f"no such script: {path!r}", hint="give the script's absolute path")
        on_host = view.on_host(held.path)
        source = "" if on_host is None else on_host.path
        return ScriptFile(held, source, await held.opener(os.O_RDONLY), limit)
    except BaseException:
        held.close()
        raise
