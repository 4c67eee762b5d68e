"""What of the host one start of a sandbox shows: granted paths, and its interpreter's parts."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.agents.exposure import Exposure, Wish, beneath
from clove.kernel.agents.host_scan import Keepsakes
from clove.kernel.agents.pinned import Pinned
from clove.kernel.agents.survey import expose
from clove.kernel.threads import to_the_end

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clove.kernel.agents.interpreter import Interpreter
    from clove.kernel.agents.settings import AgentLimits
    from clove.kernel.agents.workspace import StateDir
    from clove.kernel.threads import Threads
    from clove.sandbox.spec import SandboxSpec

__all__ = ["Showing", "in_workspace"]

WORKSPACE = "/workspace/"


def in_workspace(interpreter: Interpreter) -> dict[str, bool]:
    """Parts that come to lie in the new workspace, by their path in it; true for directories."""
    return {
        part.target.removeprefix(WORKSPACE): part.directory
        for part in interpreter.parts
        if part.target.startswith(WORKSPACE)
    }


class Showing:
    """Looks at the host for each start.

    @param library: directory of the `clove` package.
    @param kept: files that no agent may change.
    @raise InvalidRequest: every agent would see the state directory.
    """

    def __init__(
        self,
        state_dir: StateDir,
        bounds: AgentLimits,
        library: str,
        own: Interpreter,
        kept: Iterable[str],
    ) -> None:
        for bind in own.binds:
            if beneath(state_dir.path, [bind.source]):
                raise InvalidRequest(
                    f"the state directory {state_dir.path} lies in {bind.source}, which every "
                    "agent sees: it belongs to the kernel's interpreter",
                    hint="choose another --state-dir",
                )
        self._keepsakes = Keepsakes(
            secret=(state_dir.path,),
            fixed=(library, sys.prefix, sys.base_prefix, *kept),
            blank_directory=state_dir.blank_directory,
            blank_file=state_dir.blank_file,
        )
        self._mounts, self._entries = bounds.exposed_mounts, bounds.exposed_entries

    async def look(
        self,
        threads: Threads,
        wished: Wish,
        blocked: tuple[str, ...],
        spec: SandboxSpec,
        interpreter: Interpreter,
        pinned: Pinned,
        *,
        first: bool,
    ) -> tuple[SandboxSpec, Exposure]:
        """The sandbox with its interpreter, and what of the host to mount in it, as it is now.

        @param threads: the agent's.
        @param blocked: paths that vanish in the interpreter's parts.
        @param pinned: holds them until the sandbox runs.
        @param first: nothing may have changed since the interpreter was found.
        @raise CloveError: see L{expose}; or a part is not what was found, or the one who
            named it may not read it any more.
        """
        parts = interpreter.parts if "mnt" in spec.namespaces else ()
        for part in parts:
            interpreter.check(part.target)
            limited = wished.programs.allowed is not None
            if limited and part.source != part.target and beneath(interpreter.real, [part.target]):
                raise PermissionDenied(
                    f"{interpreter.program} is a program that its parent can write, and the agent "
                    "may run only some programs",
                    rule="allowed_commands",
                    hint="use the interpreter of the kernel or of the system",
                )
        if parts:
            await to_the_end(threads.run(pinned.take, parts, as_found=first))
            wished = wished._replace(blocked=blocked)
        elif wished == Wish():
            return spec, Exposure()
        exposure = await threads.run(
            expose,
            wished,
            spec,
            self._keepsakes,
            mounts=self._mounts,
            entries=self._entries,
            parts=pinned.binds,
            real=interpreter.real,
        )
        return replace(spec, binds=(*spec.binds, *pinned.binds)), exposure
