"""What the nursery's root has, and what a sandbox has beyond it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["Beyond", "beyond", "suits"]

OWN_TMPFS: Final = frozenset({"/tmp", "/dev/shm"})  # noqa: S108 private ones
OWN_PLACES: Final = frozenset({"/workspace", "/app"})

TOLD_AT_START: Final = ("PYTHON", "LD_", "LC_", "GLIBC_", "MALLOC_", "LANG")
"""Variables that the interpreter, its C library or the linker read once, at their start."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a root adds to the nursery's.

    @ivar whole: it is not built on the nursery's, but by itself, and this is all of it.
    """

    whole: bool
    binds: tuple[Bind, ...]
    files: Mapping[str, str]


def suits(base: SandboxSpec, spec: SandboxSpec) -> bool:
    """Could an interpreter that was started for the base be that of this spec?"""
    return (
        spec.namespaces == base.namespaces
        and spec.hostname == base.hostname
        and spec.argv[0] == base.argv[0]
        and len(spec.argv) > 1
        and spec.seccomp
        and _told(spec.env) == _told(base.env)
    )


def _told(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(TOLD_AT_START)}


def beyond(base: SandboxSpec, spec: SandboxSpec) -> Beyond:
    """What is left to do for a root that is to be as the spec says."""
    shared = {bind for bind in base.binds if not _is_hidden(bind.target)}
    binds = tuple(bind for bind in spec.binds if bind not in shared)
    files = {path: text for path, text in spec.files.items() if base.files.get(path) != text}
    whole = (
        spec.links != base.links
        or spec.files.keys() != base.files.keys()
        or not shared.issubset(spec.binds)
        or not OWN_TMPFS.issuperset(spec.tmpfs)
        or any(not _has_place(bind.target, base) for bind in binds)
    )
    return Beyond(True, spec.binds, spec.files) if whole else Beyond(False, binds, files)


def _is_hidden(target: str) -> bool:
    """A child's own mounts hide what the nursery has there, as an interpreter below /tmp."""
    return any(target.startswith(f"{place}/") for place in (*OWN_TMPFS, *OWN_PLACES))


def _has_place(target: str, base: SandboxSpec) -> bool:
    """The nursery's root has something to mount upon there, or a child makes it.

    Beneath what both have from the host a target is there, or the spec would not name it.
    """
    if target in OWN_PLACES or target.startswith("/tmp/"):  # noqa: S108
        return True
    return any(target.startswith(f"{bind.target}/") for bind in base.binds)
