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
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    writable_mounts: tuple[str, ...] = ()


NOTHING: Final = Grants()


class MountRequest(NamedTuple):
    """What a sandbox is to show, as patterns, and what of its programs can be executed.

    @ivar blocked: what stays masked beneath; empty when nothing is shown.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    programs: Programs = EVERY_PROGRAM


def grants_of(named: Iterable[str], wanted: Permissions, earlier: Grants = NOTHING) -> Grants:
    """The grants that a request makes.

    @param named: the fields of permissions that it sets by itself.
    @param wanted: the permissions that it asks for.
    @param earlier: what holds where it names nothing.
    """
    fields = frozenset(named)
    return replace(
        earlier,
        read=wanted.allowed_read_paths if "allowed_read_paths" in fields else earlier.read,
        write=wanted.allowed_write_paths if "allowed_write_paths" in fields else earlier.write,
    )


def mount_request(
    permissions: Permissions, grants: Grants, work: Work | None = None
) -> MountRequest:
    """What of the grants the permissions still allow, without what is the sandbox's own.

    @param work: what bounds this, if more than this belongs to it; what is beyond is not granted.
    """
    programs = programs_of(permissions)
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    if permissions.can_read:
        read = _granted(permissions.allowed_read_paths, grants.read, work)
        mounts = (*grants.mounts, *grants.writable_mounts)
        read = _merged(read, _allowed(mounts, permissions.allowed_read_paths, work))
    if permissions.can_write:
        write = _granted(permissions.allowed_write_paths, grants.write, work)
        mounts = grants.writable_mounts
        write = _merged(write, _allowed(mounts, permissions.allowed_write_paths, work))
    if not (read or write):
        return MountRequest(programs=programs)
    return MountRequest(read, write, permissions.blocked_paths, programs)


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
