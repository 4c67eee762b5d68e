"""A live agent's sandbox as it was made, to be made once more for another program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from clove.kernel.agents.plan import LIBRARY_INSIDE, SOCKET_INSIDE
from clove.kernel.agents.teller import teller
from clove.sandbox.spec import Bind, SandboxSpec

if TYPE_CHECKING:
    from clove.kernel.agents.plan import Host, Limits
    from clove.sandbox.cgroups import AgentCgroup

__all__ = ["ATTEMPT", "Profile", "Throwaway", "on_host"]

ATTEMPT: Final = "sandbox/attempt.py"
"""The program that makes attempts, below the `clove` package."""
KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER")
"""Variables that say where things are. The rest is the agent's: it may hold secrets, and
names of libraries to load into the program."""


@dataclass(frozen=True, slots=True)
class Throwaway:
    """Places for one program.

    @ivar spec: where it shall run.
    @ivar fallback: with allow_degraded, where else; see L{Launcher.launch}.
    @ivar cgroup: of its own, if there are any.
    @ivar word_of: the agent's interpreter, if it runs the program because there is none that
        can be relied on: then it is this that says what happened, whatever it is.
    """

    spec: SandboxSpec
    fallback: SandboxSpec | None = None
    cgroup: AgentCgroup | None = None
    word_of: str = ""

    def running(self, library: str, *words: str) -> Throwaway:
        """The same, with the program that makes attempts.

        @param library: directory of the `clove` package on the host.
        """
        fallback = self.fallback and _running(self.fallback, library, words)
        return replace(self, spec=_running(self.spec, library, words), fallback=fallback)

    def reliably(self) -> Throwaway:
        """The same for an interpreter that no agent can have exchanged, if there is one."""
        python = teller(self.spec)
        if python is None:
            return replace(self, word_of=self.spec.argv[0])
        fallback = self.fallback and replace(self.fallback, argv=(sys.executable,))
        return replace(self, spec=replace(self.spec, argv=(python,)), fallback=fallback)


def _running(spec: SandboxSpec, library: str, words: tuple[str, ...]) -> SandboxSpec:
    where = f"{LIBRARY_INSIDE}/clove" if spec.namespaces else library
    return replace(spec, argv=(spec.argv[0], "-I", "-S", "-B", f"{where}/{ATTEMPT}", *words))


def on_host(host: Host, cwd: str | None) -> Throwaway:
    """Places for one who sees the host's files: the host itself, as the kernel's user."""
    spec = SandboxSpec(argv=(sys.executable,), env=_kept(host.environ), cwd=cwd or host.cwd)
    return Throwaway(spec)


@dataclass(frozen=True, slots=True)
class Profile:
    """How an agent's sandbox was made at its last start.

    @ivar spec: as it was launched.
    @ivar own: what of its mounts is every agent's; the rest is of the host, at its path.
    """

    spec: SandboxSpec
    own: tuple[Bind, ...]
    fallback: SandboxSpec | None
    limits: Limits

    def again(self, cgroup: AgentCgroup | None) -> Throwaway:
        """Places of the same kind, but with neither its socket nor what names it.

        A path of the host that is gone is left out. Blocking.
        """
        own = frozenset(bind.target for bind in self.own)
        binds = (b for b in self.spec.binds if b.target in own or os.path.lexists(_place(b)))
        procs = (cgroup.procs_path,) if cgroup is not None else ()
        return Throwaway(
            _anonymous(replace(self.spec, binds=tuple(binds)), procs),
            self.fallback and _anonymous(self.fallback, procs),
            cgroup,
        )


def _place(bind: Bind) -> str:
    """Where on the host it shows; a part of an interpreter may have another path inside."""
    return bind.source if bind.identity is not None else bind.target


def _anonymous(spec: SandboxSpec, procs: tuple[str, ...]) -> SandboxSpec:
    binds = tuple(bind for bind in spec.binds if bind.target != SOCKET_INSIDE)
    return replace(spec, binds=binds, env=_kept(spec.env), cgroup_procs=procs)


def _kept(env: Mapping[str, Any]) -> dict[str, str]:
    return {name: env[name] for name in KEPT if name in env}
