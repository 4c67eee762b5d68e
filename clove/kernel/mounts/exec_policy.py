"""What keeps programs from being executed in one sandbox. Pure.

Blocked programs are covered like blocked paths. Where permissions say what
alone may be run, nothing else is executable: Landlock sees to it (landlock(7),
LANDLOCK_ACCESS_FS_EXECUTE), and writable places are mounted noexec whether or
not this Linux has it. `docs/agreement.md` says what is left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["LANDLOCK_LACKS", "ExecPolicy", "printable"]

LANDLOCK_LACKS: Final = "this Linux has no Landlock; writable places are noexec all the same"


class ExecPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Programs that cannot be executed.

    @ivar masks: mounts over blocked ones.
    @ivar executables: real paths that alone can be executed, directories with all
        beneath; None: everything.
    @ivar limit: the permission that says so, `can_exec` or `allowed_commands`.
    @ivar unguarded: rules that bind the EXEC syscall alone, to the reason.
    """

    masks: tuple[Bind, ...] = ()
    executables: tuple[str, ...] | None = None
    limit: str = ""
    unguarded: Mapping[str, str] = msgspec.field(default_factory=dict)

    def apply(self, spec: SandboxSpec) -> SandboxSpec:
        """The spec with it; masks come last, since they lie in what is mounted before."""
        alone = self.executables
        binds = spec.binds
        if alone is None and not self.masks:
            return spec
        if alone is not None:
            binds = tuple(
                replace(bind, noexec=bind.writable and bind.target not in alone) for bind in binds
            )
        return replace(spec, binds=(*binds, *self.masks), executables=alone)

    def to_wire(self, *, landlock: bool) -> dict[str, Any]:
        """The `commands` object of SPAWN's `isolation`.

        @param landlock: it holds in this sandbox.
        """
        unguarded = dict(self.unguarded)
        executables = self.executables
        if executables is not None and not landlock:
            unguarded[self.limit] = LANDLOCK_LACKS
            executables = None
        return {
            "covered": [printable(bind.target) for bind in self.masks],
            "executable": None if executables is None else [printable(one) for one in executables],
            "unguarded": unguarded,
        }


def printable(path: str) -> str:
    """File names are bytes; a reply is Unicode."""
    return path.encode(errors="backslashreplace").decode()
