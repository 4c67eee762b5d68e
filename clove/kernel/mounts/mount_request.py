"""Which paths of the host a sandbox is asked to show. Pure.

A path that an agent may read or write is of no use to it when its private root
has no such path. So the paths that a principal which sees the host's files has
granted by name are mounted, and what is blocked beneath them is masked.
`docs/agreement.md` says where mounts and the checks of syscalls part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from clove.errors import LimitExceeded
from clove.kernel.mounts.paths import is_own
from clove.kernel.mounts.pattern_walk import prefix_of
from clove.policy import EVERY_PROGRAM, Permissions, Programs, Work, programs_of
from clove.policy.paths import within

__all__ = ["NOTHING", "Grants", "MountRequest", "grants_of", "mount_request"]


@dataclass(frozen=True, slots=True)
class Grants:
    """Patterns of paths on the host that were granted by name, by one that sees the host's files.

    @ivar mounts, writable_mounts: paths that are to be there whether or not permissions name them.
    @ivar as_owner: which of C{read}, C{write} and C{mounts} (both kinds) were granted by one who has
        the rights of every owner, root.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    writable_mounts: tuple[str, ...] = ()
    as_owner: tuple[str, ...] = ()


NOTHING: Final = Grants()
KINDS: Final = ("read", "write", "mounts")


class MountRequest(NamedTuple):
    """What a sandbox is to show, as patterns, and what of its programs can be executed.

    @ivar as_owner: what is shown with its owner (docs/owners.md): C{read} or C{write}, and a pattern.
    @ivar blocked: what stays masked beneath; empty when nothing is shown.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    as_owner: tuple[tuple[str, str], ...] = ()
    blocked: tuple[str, ...] = ()
    programs: Programs = EVERY_PROGRAM


def grants_of(
    named: Iterable[str],
    wanted: Permissions,
    earlier: Grants = NOTHING,
    *,
    as_owner: bool = False,
) -> Grants:
    """The grants that a request makes.

    @param named: the fields of permissions that it sets by itself.
    @param wanted: the permissions that it asks for.
    @param earlier: what holds where it names nothing.
    @param as_owner: it comes from one who has the rights of every owner.
    """
    fields = frozenset(named)
    read, write = "allowed_read_paths" in fields, "allowed_write_paths" in fields
    owned = {kind: kind in earlier.as_owner for kind in KINDS}
    owned |= {kind: as_owner for kind, given in (("read", read), ("write", write)) if given}
    return replace(
        earlier,
        read=wanted.allowed_read_paths if read else earlier.read,
        write=wanted.allowed_write_paths if write else earlier.write,
        as_owner=tuple(kind for kind, given in owned.items() if given),
    )


def mount_request(
    permissions: Permissions, grants: Grants, work: Work | None = None
) -> MountRequest:
    """What of the grants the permissions still allow, without what is the sandbox's own.

    @param work: what bounds this, if more than this belongs to it; what is beyond is not granted.
    """
    programs = programs_of(permissions)
    found: dict[str, tuple[str, ...]] = {"read": (), "write": ()}
    owned: list[tuple[str, str]] = []
    for kind, may, allowed, granted, mounts in (
        (
            "read",
            permissions.can_read,
            permissions.allowed_read_paths,
            grants.read,
            (*grants.mounts, *grants.writable_mounts),
        ),
        (
            "write",
            permissions.can_write,
            permissions.allowed_write_paths,
            grants.write,
            grants.writable_mounts,
        ),
    ):
        if not may:
            continue
        shown = {kind: _granted(allowed, granted, work), "mounts": _allowed(mounts, allowed, work)}
        found[kind] = _merged(shown[kind], shown["mounts"])
        for by in grants.as_owner:
            owned += ((kind, pattern) for pattern in shown.get(by, ()))
    if not (found["read"] or found["write"]):
        return MountRequest(programs=programs)
    as_owner = tuple(dict.fromkeys(owned))
    return MountRequest(found["read"], found["write"], as_owner, permissions.blocked_paths, programs)


def _granted(
    allowed: tuple[str, ...], granted: tuple[str, ...], work: Work | None
) -> tuple[str, ...]:
    if not granted:
        return ()
    try:
        inside = within(allowed, granted, work)
    except LimitExceeded:
        return ()  # more than can be compared is not granted
    return tuple(pattern for pattern in inside if not is_own(prefix_of(pattern)))


def _allowed(
    mounts: tuple[str, ...], allowed: tuple[str, ...], work: Work | None
) -> tuple[str, ...]:
    """The mounts of which everything may be used."""
    try:
        return within(mounts, allowed, work)
    except LimitExceeded:
        return ()


def _merged(patterns: tuple[str, ...], mounts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*patterns, *mounts])) if mounts else patterns
