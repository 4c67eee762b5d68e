"""What of the host one start of a sandbox shows: granted paths, and its interpreter's parts."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.mounts.interpreter import own_parts
from clove.kernel.mounts.mount_plan import MountPlan, check_links
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.mounts.owners import Owners
from clove.kernel.mounts.paths import beneath
from clove.kernel.mounts.pinned_paths import PinnedPaths
from clove.kernel.mounts.scan_bounds import ProtectedPaths
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

    from clove.kernel.mounts.interpreter import Interpreter, Part
    from clove.kernel.state_dir import StateDir
    from clove.sandbox.id_maps import IdMaps
    from clove.sandbox.spec import Bind, SandboxSpec
    from clove.threads.threads import Threads

__all__ = ["MountPlanner", "in_workspace"]

WORKSPACE = "/workspace/"


def in_workspace(interpreter: Interpreter) -> dict[str, bool]:
    """Parts that come to lie in the new workspace, by their path in it; true for directories."""
    return {
        part.target.removeprefix(WORKSPACE): part.directory
        for part in interpreter.parts
        if part.target.startswith(WORKSPACE)
    }


class MountPlanner:
    """Plans the mounts of each start, as the host is then.

    @param library: directory of the `clove` package.
    @param kept: files that no agent may change.
    @param mounts: most mounts of one sandbox.
    @param entries: most directory entries that are looked at for it.
    @param id_maps: maps the owners of what is granted; None: nothing does.
    @param owned_entries: most directory entries that are looked at for that.
    @raise InvalidRequest: every agent would see the state directory.
    """

    def __init__(
        self,
        state_dir: StateDir,
        library: str,
        kept: Iterable[str],
        *,
        mounts: int,
        entries: int,
        id_maps: IdMaps | None = None,
        owned_entries: int = 0,
    ) -> None:
        self._id_maps = id_maps
        self._owned_entries = owned_entries
        for bind in own_parts():
            if beneath(state_dir.path, [bind.source]):
                raise InvalidRequest(
                    f"the state directory {state_dir.path} lies in {bind.source}, which every "
                    "agent sees: it belongs to the kernel's interpreter",
                    hint="choose another --state-dir",
                )
        self._protected = ProtectedPaths(
            masked=(state_dir.path,),
            read_only=(library, sys.prefix, sys.base_prefix, *kept),
            blank_directory=state_dir.blank_directory,
            blank_file=state_dir.blank_file,
        )
        self._scan = functools.partial(_scan_host, mounts=mounts, entries=entries)

    async def plan_mounts(
        self,
        threads: Threads,
        request: MountRequest,
        blocked: tuple[str, ...],
        spec: SandboxSpec,
        interpreter: Interpreter,
        held: ExitStack,
        *,
        check: Callable[[str], None],
        as_found: bool,
    ) -> tuple[SandboxSpec, MountPlan | None]:
        """The sandbox with its interpreter and what of the host is mounted in it, as it is now.

        None: that is nothing, and every program may be executed.

        @param threads: the agent's.
        @param blocked: paths that vanish in the interpreter's parts.
        @param held: keeps the parts from being exchanged until it is closed.
        @param check: raises if the caller that named the interpreter may not read a path (any more).
        @param as_found: nothing may have changed since the interpreter was found.
        @raise CloveError: see L{scan_host}; or a part has changed, or may not be read any more.
        """
        parts = interpreter.parts if "mnt" in spec.namespaces else ()
        binds: tuple[Bind, ...] = ()
        for part in parts:
            check(part.target)
        if parts:
            if request.programs.allowed is not None:
                _require_not_the_parents(parts, interpreter)
            binds = await _pin(threads, parts, held, as_found=as_found)
            request = request._replace(blocked=blocked)
        elif request == MountRequest():
            return spec, None
        more = {"parts": binds, "real": interpreter.real, "owners": self._owners(spec)}
        plan = await threads.run(self._scan, request, spec, self._protected, **more)
        shown = plan.apply(replace(spec, binds=(*spec.binds, *binds)))
        check_links(spec, shown)
        return shown, plan

    def _owners(self, spec: SandboxSpec) -> Owners | None:
        """Finds owners for a start; None: the agent's user is the kernel's, or nothing is mapped."""
        if self._id_maps is None or spec.uid is None or not spec.seccomp:
            return None
        return Owners(self._id_maps, spec.uid, self._owned_entries)


def _scan_host(*args: Any, **bounds: Any) -> MountPlan:
    """L{clove.kernel.mounts.host_scan.scan_host}, imported by the first thread that needs it."""
    from clove.kernel.mounts.host_scan import scan_host

    return scan_host(*args, **bounds)


async def _pin(
    threads: Threads, parts: Iterable[Part], held: ExitStack, *, as_found: bool
) -> tuple[Bind, ...]:
    """Hold an interpreter's parts; gives their mounts."""
    pinned = PinnedPaths()
    held.callback(pinned.close)
    await to_the_end(threads.run(pinned.pin, parts, as_found=as_found))
    return pinned.binds


def _require_not_the_parents(parts: Iterable[Part], interpreter: Interpreter) -> None:
    """@raise PermissionDenied: the interpreter is in a part that its parent can write."""
    theirs = [part.target for part in parts if part.source != part.target]
    if beneath(interpreter.real, theirs):
        raise PermissionDenied(
            f"{interpreter.program} is a program that its parent can write, and the agent "
            "may run only some programs",
            rule="allowed_commands",
            hint="use the interpreter of the kernel or of the system",
        )
