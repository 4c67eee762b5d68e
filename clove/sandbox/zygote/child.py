"""A child of the zygote that waits to be told what it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.inside.namespaces import INSIDE_ID
from clove.sandbox.inside.zygote.roots import MOST_TREES
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import Bind, SandboxSpec
from clove.sandbox.zygote.base import Beyond, beyond, interprets, suits
from clove.sandbox.zygote.ids import IdRange
from clove.sandbox.zygote.mount_descriptors import MountDescriptors
from clove.sandbox.zygote.process import ZygoteProcess
from clove.threads.threads import Threads, to_the_end

__all__ = ["NewChild"]


@dataclass(frozen=True, slots=True)
class NewChild:
    """One child; it is settled once, or abandoned.

    @ivar zygote: the process that it is a copy of.
    @ivar ids: None for a kernel without root.
    @ivar cgroup: the one that it was forked into.
    @ivar held: mounts for it that are open already.
    """

    process: ForkedProcess
    zygote: ZygoteProcess
    ids: IdRange | None
    cgroup: AgentCgroup | None = None
    held: MountDescriptors = field(default_factory=MountDescriptors)

    def open_ahead(self, binds: Iterable[Bind]) -> None:
        """Open what it will have for sure, so that L{settle} need not. Blocking."""
        if self.ids is not None:
            with contextlib.suppress(OSError):  # L{settle} meets it again
                self.held.open_mounts(binds)

    def completed(self, spec: SandboxSpec) -> tuple[SandboxSpec, Beyond] | None:
        """A spec with the system's parts, and what it has beyond the zygote's root.

        @return: None: this child cannot be what it says.
        """
        whole = self.zygote.system.apply(spec)
        if not suits(self.zygote.base, whole):
            return None
        more = beyond(self.zygote.base, whole)
        if self.ids is not None:
            possible = len(more.binds) <= MOST_TREES
        else:
            possible = not (more.whole and self.stale)
        return (whole, more) if possible else None

    @property
    def stale(self) -> bool:
        """The host's mounts are no more as it knows them, and it opens paths by itself."""
        return self.ids is None and self.zygote.mounts.changed()

    async def settle(
        self, sandbox: Sandbox, more: Beyond, threads: Threads, stdin: int = -1
    ) -> None:
        """Let it be what the sandbox's spec says, which is a L{completed} one.

        @param more: what it has beyond the zygote's root.
        @param stdin: the descriptor that it reads, if its spec says that there is one.
        @raise OSError: something of the spec cannot be had.
        """
        spec = sandbox.spec
        facts: dict[str, Any] = {"inside_uid": INSIDE_ID, "beyond": None}
        facts["exec"] = not interprets(self.zygote.base, spec)
        if self.ids is not None and spec.uid is not None:
            facts["inside_uid"] = self.ids.inside(spec.uid)
        if not more.whole:
            facts |= {"beyond": dict(more.files), "links": {}, "files": {}}
        try:
            missing = self.held.missing(more.binds) if self.ids is not None else ()
            if missing:
                await to_the_end(threads.run(self.held.open_mounts, missing, spec.uid))
            facts["binds"] = self.held.describe(more.binds)
            passed = [*self.held.trees, stdin] if spec.stdin else self.held.trees
            sandbox.attach(self.process, self.process.control, facts, passed)
            self.process.adopt(sandbox.streams)  # which may be told of its end at once
        finally:
            self.held.close()

    def abandon(self) -> None:
        """It is not needed: let it end."""
        self.held.close()
        self.process.abandon()
