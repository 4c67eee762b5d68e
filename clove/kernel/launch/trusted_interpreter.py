"""Which interpreter makes a dry run in a sandbox, so that its report can be relied on.

An agent's own may be a program that an agent which wants WHY to say something else has put
there. The kernel's is read-only in every sandbox that has it, and /usr in all of them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from clove.kernel.mounts.interpreter import own_interpreter
from clove.kernel.mounts.paths import beneath

if TYPE_CHECKING:
    from clove.sandbox.spec import SandboxSpec

__all__ = ["OWN", "SYSTEMS", "Installation", "system_python", "trusted_interpreter"]


class Installation(NamedTuple):
    """An interpreter that the host's administrator alone can change.

    @ivar program: its real path.
    @ivar library: the directory of its standard library.
    """

    program: str
    library: str


def system_python(usr: str = "/usr") -> tuple[Installation, ...]:
    """The host's own, if it has all that a dry run needs. Looks at a few files."""
    program = os.path.realpath(f"{usr}/bin/python3")
    library = f"{usr}/lib/{os.path.basename(program)}"
    needed = [program, *(f"{library}/{name}/__init__.py" for name in ("json", "ctypes"))]
    whole = program.startswith(f"{usr}/") and all(map(os.path.isfile, needed))
    return (Installation(program, library),) if whole else ()


OWN: Final = Installation(
    os.path.realpath(sys.executable), os.path.dirname(os.path.realpath(os.__file__))
)
"""The kernel's."""
OWN_PATH: Final = own_interpreter().program
"""The path by which agents have it."""
SYSTEMS: Final = system_python()


def trusted_interpreter(
    spec: SandboxSpec,
    installations: tuple[Installation, ...] = (OWN, *SYSTEMS),
    kernels: str = OWN_PATH,
) -> str | None:
    """The interpreter that can be relied on; None: there is only the agent's. Pure.

    @param spec: of the sandbox, or of a program on the host.
    @param kernels: the path that most agents' have.
    """
    if not spec.namespaces or spec.argv[0] == kernels:
        return kernels
    return next((one.program for one in installations if _has(spec, one)), None)


def _has(spec: SandboxSpec, one: Installation) -> bool:
    alone = spec.executables
    if alone is not None and not beneath(one.program, alone):
        return False
    return all(_as_on_the_host(path, spec) for path in one)


def _as_on_the_host(path: str, spec: SandboxSpec) -> bool:
    """Is it there, at its own path, and can neither be changed nor be kept from running?"""
    over = [bind for bind in spec.binds if beneath(path, [bind.target])]
    if not over:
        return beneath(path, ["/usr"])
    last = over[-1]
    return last.source == last.target and not last.writable and not last.noexec
