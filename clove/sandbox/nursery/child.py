"""A child of the nursery that waits to be told what it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clove.kernel.threads import Threads
from clove.sandbox.agent_cgroup import AgentCgroup
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.namespaces import INSIDE_ID
from clove.sandbox.nursery.base import beyond, suits
from clove.sandbox.nursery.handover import Handover
from clove.sandbox.nursery.ids import IdRange
from clove.sandbox.nursery.process import NurseryProcess
from clove.sandbox.nursery.roots import MOST_TREES
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["NewChild"]


@dataclass(frozen=True, slots=True)
class NewChild:
    """One child; it is settled once, or abandoned.

    @ivar nursery: whose root it has.
    @ivar ids: None for a kernel without root.
    @ivar cgroup: it was born in it.
    @ivar held: mounts for it that are open already.
    """

    process: ForkedProcess
    nursery: NurseryProcess
    ids: IdRange | None
    cgroup: AgentCgroup | None = None
    held: Handover = field(default_factory=Handover)

    def open_ahead(self, binds: Iterable[Bind]) -> None:
        """Open what it will have for sure, so that L{settle} need not. Blocking."""
        if self.ids is not None:
            with contextlib.suppress(OSError):  # L{settle} meets it again
                self.held.take(binds)

    def completed(self, spec: SandboxSpec) -> SandboxSpec | None:
        """A spec with the system's parts, if this child can be what it says; else None."""
        whole = self.nursery.system.apply(spec)
        if not suits(self.nursery.base, whole):
            return None
        more = beyond(self.nursery.base, whole)
        if self.ids is not None:
            possible = len(more.binds) <= MOST_TREES
        else:
            possible = not (more.whole and self.stale)
        return whole if possible else None

    @property
    def stale(self) -> bool:
        """The host's mounts are no more as it knows them, and it opens paths by itself."""
        return self.ids is None and self.nursery.mounts.changed()

    async def settle(self, sandbox: Sandbox, threads: Threads) -> None:
        """Let it be what the sandbox's spec says, which is a L{completed} one.

        @raise OSError: something of the spec cannot be had.
        """
        spec, more = sandbox.spec, beyond(self.nursery.base, sandbox.spec)
        facts: dict[str, Any] = {"inside_uid": INSIDE_ID, "beyond": None}
        if self.ids is not None and spec.uid is not None:
            facts["inside_uid"] = self.ids.inside(spec.uid)
        if not more.whole:
            facts |= {"beyond": dict(more.files), "links": {}, "files": {}}
        try:
            missing = self.held.missing(more.binds) if self.ids is not None else ()
            if missing:
                await threads.run(self.held.take, missing)
            facts["binds"] = self.held.describe(more.binds)
            sandbox.attach(self.process, self.process.control, facts, self.held.trees)
            self.process.adopt(sandbox.streams)  # which may hear of its end at once
        finally:
            self.held.close()

    def abandon(self) -> None:
        """Nobody wants it: it ends."""
        self.held.close()
        self.process.abandon()
