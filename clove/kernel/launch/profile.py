"""A live agent's sandbox as it was made, to be made once more for another program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from clove.kernel.launch.agent_spec import LIBRARY_INSIDE, SOCKET_INSIDE
from clove.kernel.launch.trusted_interpreter import trusted_interpreter
from clove.sandbox.spec import Bind, SandboxSpec

if TYPE_CHECKING:
    from clove.kernel.launch.agent_spec import Host
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.sandbox.cgroup.tree import AgentCgroup

__all__ = ["DRY_RUN", "Clone", "Profile", "clone_of_host"]

DRY_RUN: Final = "sandbox/inside/dry_run.py"
"""The program that makes dry runs, below the `clove` package."""
KEPT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER")
"""Variables that say where things are. The rest is the agent's: it may hold secrets, and
names of libraries to load into the program."""


class Clone(msgspec.Struct, frozen=True):
    """A sandbox for one program.

    @ivar spec: where it shall run.
    @ivar fallback: with allow_degraded, where else; see L{Launcher.launch}.
    @ivar cgroup: of its own, if there are any.
    @ivar memory: bytes that the agent's processes may have together.
    @ivar reported_by: the agent's interpreter, if it runs the program because there is none that
        can be relied on: then it is this that says what happened, whatever it is.
    """

    spec: SandboxSpec
    fallback: SandboxSpec | None = None
    cgroup: AgentCgroup | None = None
    memory: int = 0
    reported_by: str = ""

    def with_dry_run(self, library: str, *words: str) -> Clone:
        """The same, with the program that makes dry runs.

        @param library: directory of the `clove` package on the host.
        """
        fallback = self.fallback and _dry_run(self.fallback, library, words)
        return replace(self, spec=_dry_run(self.spec, library, words), fallback=fallback)

    def with_trusted_interpreter(self) -> Clone:
        """The same for an interpreter that no agent can have exchanged, if there is one."""
        python = trusted_interpreter(self.spec)
        if python is None:
            return replace(self, reported_by=self.spec.argv[0])
        fallback = self.fallback and replace(self.fallback, argv=(sys.executable,))
        return replace(self, spec=replace(self.spec, argv=(python,)), fallback=fallback)


def _dry_run(spec: SandboxSpec, library: str, words: tuple[str, ...]) -> SandboxSpec:
    where = f"{LIBRARY_INSIDE}/clove" if spec.namespaces else library
    return replace(spec, argv=(spec.argv[0], "-I", "-S", "-B", f"{where}/{DRY_RUN}", *words))


def clone_of_host(host: Host, cwd: str | None) -> Clone:
    """For a principal that sees the host's files: the host itself, as the kernel's user."""
    spec = SandboxSpec(argv=(sys.executable,), env=_kept(host.environ), cwd=cwd or host.cwd)
    return Clone(spec)


class Profile(msgspec.Struct, frozen=True):
    """How an agent's sandbox was made at its last start.

    @ivar spec: as it was launched.
    @ivar own: what of its mounts is every agent's; the rest is of the host, at its path.
    @ivar python: the interpreter that it has, as the sandbox sees it.
    """

    spec: SandboxSpec
    own: tuple[Bind, ...]
    fallback: SandboxSpec | None
    limits: ResourceLimits
    python: str

    def clone(self, cgroup: AgentCgroup | None) -> Clone:
        """A sandbox of the same kind, but with neither its socket nor what names it.

        A path of the host that is gone is left out. Blocking.
        """
        own = frozenset(bind.target for bind in self.own)
        binds = (b for b in self.spec.binds if b.target in own or os.path.lexists(_host_path(b)))
        procs = (cgroup.procs_path,) if cgroup is not None else ()
        argv = (self.python,)
        return Clone(
            _anonymous(replace(self.spec, binds=tuple(binds), argv=argv), procs),
            self.fallback and _anonymous(replace(self.fallback, argv=argv), procs),
            cgroup,
            self.limits.memory,
        )


def _host_path(bind: Bind) -> str:
    """Where on the host it shows; a part of an interpreter may have another path inside."""
    return bind.source if bind.identity is not None else bind.target


def _anonymous(spec: SandboxSpec, procs: tuple[str, ...]) -> SandboxSpec:
    binds = tuple(bind for bind in spec.binds if bind.target != SOCKET_INSIDE)
    empty = dict.fromkeys(spec.secrets, "")
    return replace(spec, binds=binds, env=_kept(spec.env), secrets=empty, cgroup_procs=procs)


def _kept(env: Mapping[str, Any]) -> dict[str, str]:
    return {name: env[name] for name in KEPT if name in env}
