"""What the zygote's root has, and what a sandbox has beyond it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["Beyond", "beyond", "interprets", "suits"]

OWN_TMPFS: Final = frozenset({"/tmp", "/dev/shm"})  # noqa: S108 private ones
OWN_MOUNT_POINTS: Final = frozenset({"/workspace", "/app"})

_HIDDEN: Final = tuple(f"{point}/" for point in (*OWN_TMPFS, *OWN_MOUNT_POINTS))

TOLD_AT_START: Final = ("PYTHON", "LD_", "LC_", "GLIBC_", "MALLOC_", "LANG")
"""Variables that the interpreter, its C library or the linker read once, at their start."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a root adds to the zygote's.

    @ivar whole: it is built without the zygote's root, and C{binds} and C{files} are all of it.
    """

    whole: bool
    binds: tuple[Bind, ...]
    files: Mapping[str, str]


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
