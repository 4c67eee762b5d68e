"""A child of the zygote that waits to be told what it is: how a sandbox differs from the zygote's root, and mounts for it.

An unprivileged zygote cannot reach what lies in root's directories, so a root kernel opens each mount
of the host itself. The zygote, or its child, gets the mount alone, detached and with its final
attributes (open_tree(2), mount_setattr(2)).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
from clove.sandbox.forked import ForkedProcess
from clove.sandbox.id_maps import IdMaps, MapDescriptors
from clove.sandbox.inside.mounts import open_bind
from clove.sandbox.inside.namespaces import INSIDE_ID
from clove.sandbox.inside.zygote.roots import MOST_TREES
from clove.sandbox.running import Sandbox
from clove.sandbox.spec import Bind, SandboxSpec
from clove.sandbox.zygote.ids import IdRange
from clove.sandbox.zygote.process import ZygoteProcess
from clove.threads.threads import Threads, to_the_end

__all__ = ["Beyond", "MountDescriptors", "NewChild", "beyond", "interprets", "suits"]


OWN_TMPFS: Final = frozenset({"/tmp", "/dev/shm"})  # noqa: S108 private ones
OWN_MOUNT_POINTS: Final = frozenset({"/workspace", "/app"})

_HIDDEN: Final = tuple(f"{point}/" for point in (*OWN_TMPFS, *OWN_MOUNT_POINTS))

TOLD_AT_START: Final = ("PYTHON", "LD_", "LC_", "GLIBC_", "MALLOC_", "LANG")
"""Variables that the interpreter, its C library or the linker read once, at their start."""


class MountDescriptors:
    """Descriptors of mounts, to be sent; the object has them until L{close}.

    @param id_maps: for mounts with another owner.
    @ivar trees: mounts.
    """

    def __init__(self, id_maps: IdMaps | None = None) -> None:
        self.trees: list[int] = []
        self._id_maps = id_maps
        self._maps: MapDescriptors | None = None
        self._numbers: dict[Bind, int] = {}

    def open_mounts(self, binds: Iterable[Bind], uid: int | None = None) -> None:
        """Open their mounts. Blocking.

        @param uid: the agent's user id, if some have an owner.
        @raise OSError: its filename names what cannot be had.
        """
        binds = tuple(binds)
        if self._maps is None and any(bind.owner is not None for bind in binds):
            self._maps = MapDescriptors(self._id_maps)
        if self._maps is not None:
            self._maps.open_maps(binds, uid)
        for bind in binds:
            id_map = -1 if self._maps is None else self._maps.of_bind(bind)
            tree = open_bind({**bind.to_json(), "id_map": id_map})
            if tree < 0:
                self._numbers[bind] = -1
                continue
            self._numbers[bind] = len(self.trees)
            self.trees.append(tree)

    def missing(self, binds: Iterable[Bind]) -> list[Bind]:
        """Those that have not been opened."""
        return [bind for bind in binds if bind not in self._numbers]

    def describe(self, binds: Iterable[Bind]) -> list[dict[str, Any]]:
        """Binds as they are read on the other side, without those that the host lacks."""
        described = (self._describe(bind) for bind in binds)
        return [fields for fields in described if fields is not None]

    def _describe(self, bind: Bind) -> dict[str, Any] | None:
        fields = bind.to_json()
        number = self._numbers.get(bind)
        if number is None:
            return fields
        return None if number < 0 else {**fields, "tree": number}

    def close(self) -> None:
        """The messages have their own copies."""
        if self._maps is not None:
            self._maps.close()
        while self.trees:
            os.close(self.trees.pop())


class Beyond(msgspec.Struct, frozen=True):
    """What a root adds to the zygote's.

    @ivar whole: it is built without the zygote's root, and C{binds} and C{files} are all of it.
    """

    whole: bool
    binds: tuple[Bind, ...]
    files: Mapping[str, str]


class NewChild(msgspec.Struct, frozen=True):
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
    held: MountDescriptors = msgspec.field(default_factory=MountDescriptors)

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
        ids = self.ids
        if ids is not None and spec.uid is not None:  # as the zygote's namespace has it
            facts["inside_uid"] = ids.first_inside + spec.uid - ids.base
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


def suits(base: SandboxSpec, spec: SandboxSpec) -> bool:
    """Could a process that was forked from the base's be in this spec's sandbox?"""
    return spec.namespaces == base.namespaces and spec.hostname == base.hostname and spec.seccomp


def interprets(base: SandboxSpec, spec: SandboxSpec) -> bool:
    """Could the base's interpreter, as it is, run this spec's program, which is then a script?"""
    return (
        spec.argv[0] == base.argv[0]
        and len(spec.argv) > 1
        and spec.argv[1].startswith("/")
        and _told(spec.env) == _told(base.env)
    )


def _told(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(TOLD_AT_START)}


def beyond(base: SandboxSpec, spec: SandboxSpec) -> Beyond:
    """What is left to do for a root that is to be as the spec says."""
    shared, beneath = _looked_at(base.binds)
    binds = tuple(bind for bind in spec.binds if bind not in shared)
    files = {path: text for path, text in spec.files.items() if base.files.get(path) != text}
    whole = (
        spec.links != base.links
        or spec.files.keys() != base.files.keys()
        or not shared.issubset(spec.binds)
        or not OWN_TMPFS.issuperset(spec.tmpfs)
        or any(not _has_place(bind.target, beneath) for bind in binds)
    )
    return Beyond(True, spec.binds, spec.files) if whole else Beyond(False, binds, files)


@lru_cache(maxsize=4)
def _looked_at(binds: tuple[Bind, ...]) -> tuple[frozenset[Bind], tuple[str, ...]]:
    """Those of a zygote's binds that a child has too, and what begins the paths beneath all.

    A child's own mounts hide some of what the zygote has, as an interpreter below /tmp.
    """
    shared = frozenset(bind for bind in binds if not bind.target.startswith(_HIDDEN))
    return shared, tuple(f"{bind.target}/" for bind in binds)


def _has_place(target: str, beneath: tuple[str, ...]) -> bool:
    """The zygote's root has something to mount upon there, or a child makes it.

    Beneath what both have from the host a target is there, or the spec would not name it.
    """
    if target in OWN_MOUNT_POINTS or target.startswith("/tmp/"):  # noqa: S108
        return True
    return target.startswith(beneath)
