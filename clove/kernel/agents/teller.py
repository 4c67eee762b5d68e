"""Which interpreter makes an attempt in a sandbox, so that its word can be relied on.

An agent's own may be a program that somebody who wants WHY to say something else has put
there. The kernel's is read-only in every sandbox that has it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from clove.kernel.agents.exposure import beneath

if TYPE_CHECKING:
    from clove.sandbox.spec import SandboxSpec

__all__ = ["KERNELS_OWN", "Installation", "teller"]


class Installation(NamedTuple):
    """An interpreter.

    @ivar name: the path that it was started by, perhaps in a virtual environment.
    @ivar program: its real path.
    @ivar library: the directory of the standard library.
    """

    name: str
    program: str
    library: str


KERNELS_OWN: Final = Installation(
    sys.executable, os.path.realpath(sys.executable), os.path.dirname(os.path.realpath(os.__file__))
)


def teller(spec: SandboxSpec, own: Installation = KERNELS_OWN) -> str | None:
    """The interpreter by which the kernel's program can be run; None: only the agent's. Pure.

    @param spec: of the sandbox, or of a program on the host.
    """
    if not spec.namespaces or spec.argv[0] == own.name:
        return own.name
    alone = spec.executables
    if alone is not None and not beneath(own.program, alone):
        return None
    shown = all(_as_on_the_host(path, spec) for path in (own.program, own.library))
    return own.program if shown else None


def _as_on_the_host(path: str, spec: SandboxSpec) -> bool:
    """Is it there, at its own path, and can neither be changed nor be kept from running?"""
    over = [bind for bind in spec.binds if beneath(path, [bind.target])]
    if not over:
        return beneath(path, ["/usr"])
    last = over[-1]
    return last.source == last.target and not last.writable and not last.noexec
