"""Which paths of the host a sandbox is asked to show. Pure.

A path that an agent may read or write is of no use to it when its private root
has no such path. So the paths that a principal which sees the host's files has
granted by name are mounted, and what is blocked beneath them is masked.
`docs/agreement.md` says where mounts and the checks of syscalls part.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from clove.errors import LimitExceeded
from clove.kernel.mounts.paths import is_own
from clove.kernel.mounts.pattern_walk import prefix_of
from clove.policy import EVERY_PROGRAM, Permissions, Programs, Work, programs_of
from clove.policy.paths import within

__all__ = ["NOTHING", "Grants", "MountRequest", "grants_of", "mount_request"]


class Grants(msgspec.Struct, frozen=True):
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
    read = write = _NONE
    if permissions.can_read:
        mounts = (*grants.mounts, *grants.writable_mounts)
        allowed = permissions.allowed_read_paths
        read = _Shown(_granted(allowed, grants.read, work), _allowed(mounts, allowed, work))
    if permissions.can_write:
        allowed = permissions.allowed_write_paths
        mounts = grants.writable_mounts
        write = _Shown(_granted(allowed, grants.write, work), _allowed(mounts, allowed, work))
    if not (read.patterns or write.patterns):
        return MountRequest(programs=programs)
    as_owner = (*read.owned("read", grants.as_owner), *write.owned("write", grants.as_owner))
    blocked = permissions.blocked_paths
    return MountRequest(read.patterns, write.patterns, as_owner, blocked, programs)


class _Shown(NamedTuple):
    """What is shown by patterns of permissions, and by mounts."""

    granted: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """All of it."""
        return tuple(dict.fromkeys([*self.granted, *self.mounts]))

    def owned(self, kind: str, as_owner: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """What of it is shown with its owner.

        @param kind: `read` or `write`.
        @param as_owner: see L{Grants}.
        """
        granted = self.granted if kind in as_owner else ()
        mounts = self.mounts if "mounts" in as_owner else ()
        return tuple((kind, pattern) for pattern in dict.fromkeys([*granted, *mounts]))


_NONE: Final = _Shown()


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
