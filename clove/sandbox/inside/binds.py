"""Mounts of the host's files and directories, from the fields of C{Bind}."""

from __future__ import annotations

from clove.sandbox.inside import mounts
from clove.sandbox.inside.mounts import NODEV, NOEXEC, NOSUID, RDONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["open_bind"]


def open_bind(bind: Mapping[str, Any]) -> int:
    """The detached mount of a bind, or -1 for an optional one that the host lacks.

    @param bind: the fields of C{Bind}; `tree` where the kernel has sent the mount, `id_map`
        a descriptor of the map of its owners, where it has one.
    @raise OSError: its filename names what cannot be had.
    """
    if "tree" in bind:
        return int(bind["tree"])
    identity = bind.get("identity")
    try:
        return mounts.copy(
            bind["source"],
            _attributes(bind),
            identity and tuple(identity),
            id_map=bind.get("id_map", -1),
            owner=_required_owner(bind),
        )
    except FileNotFoundError:
        if bind["optional"]:
            return -1
        raise


def _attributes(bind: Mapping[str, Any]) -> int:
    flags = NOSUID | NODEV | (0 if bind["writable"] else RDONLY)
    return flags | (NOEXEC if bind["noexec"] else 0)


def _required_owner(bind: Mapping[str, Any]) -> int | None:
    """The user id that must own what is mounted; None: any user may."""
    owner = bind.get("owner")
    if owner is None:
        return None
    uid, _, whole = owner
    return int(uid) if whole else None
