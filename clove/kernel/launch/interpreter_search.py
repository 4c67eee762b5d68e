"""Finding the interpreter that a SPAWN names, as its caller sees it.

Every path is resolved in the caller's own view: on the host for those that see it, by
the sandbox's init for others. Nothing that a sandboxed caller wrote is followed with
the kernel's rights. What is found inside is told apart by device and inode number
from whatever else may lie at the same path of the host, and looked at again at each
start (L{clove.kernel.mounts.mount_planner}).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from clove.errors import InvalidRequest, NotFound, PermissionDenied
from clove.kernel.held import run_on_descriptor
from clove.kernel.mounts.interpreter import (
    CONFIG,
    CONFIG_BYTES,
    OF_ENVIRONMENT,
    OF_INSTALLATION,
    Interpreter,
    Part,
    home_of,
    in_system,
    own_interpreter,
)
from clove.kernel.mounts.paths import OWN, beneath
from clove.kernel.mounts.pinned_paths import identify
from clove.regular import NotSmall, read_regular

if TYPE_CHECKING:
    from clove.kernel.held import Threads
    from clove.sandbox.interface import IFile, IView

__all__ = ["Sender", "find_interpreter"]

WORKSPACE: Final = "/workspace"
SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where bare names are looked for after the kernel's PATH."""
MOST_NAMES: Final = 4096
"""Entries of a `lib` directory that are looked at."""
_NAME: Final = re.compile(r"(python|pypy)[0-9.]*[a-z]?(-dbg)?")
_LIBRARY: Final = re.compile(r"(python|pypy)[0-9.]+[a-z]*")
_USUAL: Final = "use the interpreter of a virtual environment or of the system"


def _anything(path: str) -> None:
    """Every path may be read."""


class Sender(msgspec.Struct, frozen=True):
    """The one that names an interpreter; by default the operator.

    @ivar sandboxed: its view is that of a sandbox.
    @ivar own_programs: it may execute programs that it has made.
    @ivar check: raises PermissionDenied for a path of its view that it may not read.
    """

    sandboxed: bool = False
    own_programs: bool = True
    check: Callable[[str], None] = _anything


async def find_interpreter(
    view: IView, sender: Sender, threads: Threads, asked: str, *, mounted: bool = True
) -> Interpreter:
    """The interpreter of a name or path, and what a sandbox needs for it.

    @param mounted: it is for a sandbox. On the host it needs nothing.
    @raise NotFound: there is no such program.
    @raise InvalidRequest: it is not an interpreter in a usual place, or in one that no other
        sandbox can be shown.
    @raise PermissionDenied: the caller may not read it.
    """
    own = await threads.run(own_interpreter)
    if asked in (own.program, sys.executable):
        return own  # type: ignore[no-any-return]
    return await _Search(view, sender, threads, own, asked).find(mounted=mounted)


class _Search:
    """The search for one interpreter."""

    def __init__(
        self, view: IView, sender: Sender, threads: Threads, own: Interpreter, asked: str
    ) -> None:
        self._view = view
        self._sender = sender
        self._threads = threads
        self._own = own
        self._own_targets = [bind.target for bind in own.binds]
        self._asked = asked
        self._parts: dict[str, Part] = {}
        self._needs_own = False

    async def find(self, *, mounted: bool) -> Interpreter:
        """All of it; see L{find_interpreter}."""
        where, _, name = (await self._located()).rpartition("/")
        where = await self._directory(where or "/")
        program = f"{where.rstrip('/')}/{name}"
        real = await self._real(program)
        if self._sender.sandboxed and not _NAME.fullmatch(os.path.basename(real)):
            raise InvalidRequest(f"{self._asked!r} is not a Python interpreter", hint=_USUAL)
        if not mounted:
            return Interpreter(program, real)
        home = await self._home(os.path.dirname(where)) if self._is_foreign(where) else None
        if home is not None:
            await self._add(os.path.dirname(where), OF_ENVIRONMENT)
            await self._need(f"{await self._directory(home)}/python")
        elif self._is_foreign(where) or self._is_foreign(real):
            program = real
        else:
            await self._need(program)
        await self._need(real)
        self._check_program(real)
        return Interpreter(
            program,
            real,
            self._needs_own,
            tuple(self._parts.values()),
        )

    def _is_foreign(self, path: str) -> bool:
        return not in_system(path) and not beneath(path, self._own_targets)

    async def _located(self) -> str:
        """The absolute path that was named."""
        if self._asked.startswith("/"):
            return self._asked
        if "/" not in self._asked:
            for place in f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}".split(":"):
                if place[:1] != "/" or (self._sender.sandboxed and self._is_foreign(place)):
                    continue
                held = await self._resolve(f"{place}/{self._asked}")
                if held is not None:
                    held.close()
                    if held.kind == "file":
                        return f"{place}/{self._asked}"
        raise self._not_found()

    def _not_found(self) -> NotFound:
        return NotFound(
            f"no such interpreter: {self._asked!r}",
            hint="give an absolute path, or leave python out",
        )

    async def _resolve(self, path: str) -> IFile | None:
        """What is there, to be closed; None if nothing is."""
        try:
            held = await self._view.resolve(path)
        except NotFound:
            return None
        if held.kind == "missing":
            held.close()
            return None
        return held

    async def _directory(self, path: str) -> str:
        held = await self._resolve(path) if path.startswith("/") else None
        if held is None:
            raise self._not_found()
        held.close()
        if held.kind != "directory":
            raise self._not_found()
        return held.path

    async def _real(self, program: str) -> str:
        held = await self._resolve(program)
        if held is None:
            raise self._not_found()
        held.close()
        if held.kind != "file":
            raise InvalidRequest(f"{self._asked!r} is a {held.kind}, not a program", hint=_USUAL)
        return held.path

    async def _home(self, prefix: str) -> str | None:
        """What a virtual environment says of its base; None: it is none."""
        held = await self._resolve(f"{prefix}/{CONFIG}")
        if held is None:
            return None
        try:
            if held.kind != "file":
                raise InvalidRequest(f"{prefix}/{CONFIG} is a {held.kind}, not a file")
            self._sender.check(held.path)
            descriptor = await held.open(os.O_RDONLY)
        finally:
            held.close()
        try:
            config: bytes = await run_on_descriptor(
                self._threads, descriptor, read_regular, CONFIG_BYTES
            )
        except NotSmall as error:
            raise InvalidRequest(f"{prefix}/{CONFIG} {error.strerror}") from None
        return home_of(config)

    async def _need(self, program: str) -> None:
        """Add what a program, whose path has no link, needs of its installation."""
        if beneath(program, self._own_targets):
            self._needs_own = True
        elif not in_system(program) and not beneath(program, self._parts):
            where = os.path.dirname(program)
            prefix = os.path.dirname(where)
            if os.path.basename(where) != "bin" or not await self._has_library(prefix):
                raise InvalidRequest(
                    f"{program} does not lie in the bin directory of a Python installation",
                    hint=_USUAL,
                )
            await self._add(prefix, OF_INSTALLATION)

    async def _has_library(self, prefix: str) -> bool:
        held = await self._resolve(f"{prefix}/lib")
        if held is None:
            return False
        try:
            if held.kind != "directory":
                return False
            descriptor = await held.open(os.O_RDONLY | os.O_DIRECTORY)
        finally:
            held.close()
        return await run_on_descriptor(self._threads, descriptor, _lists_python)

    async def _add(self, prefix: str, names: tuple[str, ...]) -> None:
        """Add the parts of a prefix that are there and no links; its programs must be."""
        for name in names:
            path = f"{prefix.rstrip('/')}/{name}"
            held = await self._resolve(path)
            if held is None:
                continue
            try:
                kind = "file" if name == CONFIG else "directory"
                if held.path == path and held.kind == kind:
                    self._parts[path] = await self._part(held, kind == "directory")
            finally:
                held.close()
        if f"{prefix.rstrip('/')}/bin" not in self._parts:
            raise InvalidRequest(f"{prefix}/bin is not there, or a link", hint=_USUAL)

    async def _part(self, held: IFile, directory: bool) -> Part:
        place = self._view.on_host(held.path)
        own = beneath(held.path, OWN)
        if self._sender.sandboxed and beneath(held.path, [WORKSPACE]):
            own = False  # a place to mount upon is made in the new workspace
        if place is None or own:
            raise InvalidRequest(
                f"{held.path} lies in a place that each sandbox has of its own",
                hint=f"keep the interpreter in {WORKSPACE}, or use the system's"
                if self._sender.sandboxed
                else "use an interpreter that lies elsewhere",
            )
        self._sender.check(held.path)
        descriptor = await held.open(os.O_RDONLY)
        identity = await run_on_descriptor(self._threads, descriptor, identify, place.path)
        return Part(place.path, held.path, directory, identity)

    def _check_program(self, real: str) -> None:
        """Refuse a program that the sender can write, to one that may run only some programs.

        @raise PermissionDenied: it is one.
        """
        if not self._sender.sandboxed or not self._is_foreign(real):
            return
        place = self._view.on_host(real)
        if place is not None and place.writable and not self._sender.own_programs:
            raise PermissionDenied(
                f"SPAWN with {self._asked!r}: the sender can write that program, and may run "
                "none of its own",
                rule="allowed_commands",
                hint="use the interpreter of the kernel or of the system",
            )


def _lists_python(descriptor: int) -> bool:
    """Is there a standard library in a directory? Closes it."""
    try:
        with os.scandir(descriptor) as listing:
            for number, entry in enumerate(listing):
                if number >= MOST_NAMES:
                    return False
                if _LIBRARY.fullmatch(entry.name):
                    return True
        return False
    finally:
        os.close(descriptor)
