"""What of the host a SPAWN grants: the paths that its permissions name, and its mounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied
from clove.kernel.mounts.mount_request import NOTHING, grants_of
from clove.kernel.mounts.paths import NEVER, beneath, is_own
from clove.policy import check_read, check_write, requested_fields
from clove.policy.globs import is_plain
from clove.policy.paths import within
from clove.sandbox.layout import TOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clove.kernel.mounts.mount_request import Grants
    from clove.kernel.principal import Principal
    from clove.messages.agents import HostMount, SpawnRequest
    from clove.policy import Permissions

__all__ = ["MOST_MOUNTS", "check_mounts", "spawn_grants", "with_mounts"]

MOST_MOUNTS: Final = 64
"""Mounts that one SPAWN may name."""
_SYSTEM: Final = "/usr"
_VAR_TMP: Final = "/var/tmp"  # noqa: S108 a link to the sandbox's own /tmp
_NOT_LINKS: Final = ("/etc", "/tmp", _VAR_TMP)  # noqa: S108
"""Directories of a sandbox's own in which its mounts could hide a link."""


def with_mounts(wanted: Permissions, request: SpawnRequest) -> Permissions:
    """What the new agent shall be able to do, its mounts among the paths that it may use.

    An empty list of paths allows all that is there, and stays empty.
    """
    changes = {}
    for field, paths in (
        ("allowed_read_paths", _paths(request)),
        ("allowed_write_paths", _paths(request, writable=True)),
    ):
        allowed = getattr(wanted, field)
        missing = tuple(path for path in paths if path not in allowed)
        if allowed and missing:
            changes[field] = (*allowed, *missing)
    return msgspec.structs.replace(wanted, **changes) if changes else wanted


def check_mounts(principal: Principal, request: SpawnRequest, permissions: Permissions) -> None:
    """Refuse mounts that could not be made, or that the new agent could make nothing of.

    @param permissions: what the new agent may do, already no more than its parent may.
    @raise InvalidRequest: a path is none that can be mounted.
    @raise PermissionDenied: the caller sees no files of the host, or the agent may not use them.
    """
    mounts = request.mounts or []
    if mounts and not request.sandboxed:
        raise InvalidRequest(
            "an agent without a sandbox sees the host as it is", hint="leave `mounts` out"
        )
    if mounts and (principal.sandboxed or principal.view is None):
        raise PermissionDenied(
            "only those who see the files of the host can have them mounted",
            rule="mounts",
            hint="give the new agent what it needs by messages or by the state store",
        )
    if len(mounts) > MOST_MOUNTS:
        raise LimitExceeded(f"a SPAWN has at most {MOST_MOUNTS} mounts")
    writable = _paths(request, writable=True)
    for mount in mounts:
        _check_path(mount)
        outer = next((one for one in writable if beneath(mount.path, [one])), None)
        if outer is not None and not mount.writable:
            raise InvalidRequest(
                f"{mount.path} lies in {outer}, which is mounted writable: it would be writable, too",
                hint="mount it alone, or the directories beside it",
            )
        _check_link(mount, mounts)
        check = check_write if mount.writable else check_read
        check(permissions, mount.path).require(f"SPAWN with a mount of {mount.path!r}")
        _require_whole(permissions, mount)


def _check_path(mount: HostMount) -> None:
    path = mount.path
    if not path.startswith("/") or {"..", "."} & {*path.split("/")} or "\0" in path:
        raise InvalidRequest(f"a mount needs an absolute path without .., not {path!r}")
    if not is_plain(path):
        raise InvalidRequest(
            f"{path!r} cannot be mounted: *, ? and [ in a path are wildcards of permissions",
            hint="rename it, or mount a directory above it",
        )
    bare = path.rstrip("/") or "/"
    own = is_own(bare) or beneath(bare, [_VAR_TMP])
    if beneath(bare, NEVER) or (own and (mount.writable or not _in_system(bare))):
        raise InvalidRequest(
            f"{bare} cannot be mounted: each sandbox has its own there, or it shows the machine",
            hint="mount a directory of your own, such as one in your home",
        )


def _check_link(mount: HostMount, mounts: Sequence[HostMount]) -> None:
    """@raise InvalidRequest: there can be no link to the mount at the path that is asked for."""
    link = mount.link
    if link is None:
        return
    if not link.startswith("/") or {"..", ".", ""} & {*link.split("/")[1:]} or "\0" in link:
        raise InvalidRequest(f"`as` of a mount is an absolute path without .., not {link!r}")
    others = [one.link for one in mounts if one.link is not None and one is not mount]
    paths = [one.path.rstrip("/") for one in mounts]
    taken = [*paths, *others, *TOP, *_NOT_LINKS]
    crossed = beneath(link, taken) or any(beneath(one, [link]) for one in [*paths, *others])
    if crossed or is_own(link) or beneath(link, NEVER):
        raise InvalidRequest(
            f"{mount.path} cannot be seen as {link}: something else is there",
            hint="choose a path that no sandbox has, such as /data or /srv/NAME",
        )


def _in_system(path: str) -> bool:
    """Every sandbox has it, read-only."""
    return beneath(path, [_SYSTEM])


def _require_whole(permissions: Permissions, mount: HostMount) -> None:
    """@raise PermissionDenied: the agent may use the path, but not all beneath it."""
    field = "allowed_write_paths" if mount.writable else "allowed_read_paths"
    try:
        whole = within((mount.path,), getattr(permissions, field))
    except LimitExceeded:
        whole = ()
    if not whole:
        raise PermissionDenied(
            f"SPAWN with a mount of {mount.path!r}: its sender may not use all beneath it",
            rule=field,
            hint="name the directory itself, without wildcards, in the sender's permissions",
        )


def spawn_grants(principal: Principal, request: SpawnRequest, wanted: Permissions) -> Grants:
    """The host's paths that a request grants by name; the caller must see them itself."""
    if principal.sandboxed or principal.view is None:
        return NOTHING
    asked = request.permissions
    named = requested_fields(asked) if asked and not isinstance(asked, str) else ()
    as_owner = principal.is_operator
    grants = grants_of(named, wanted, as_owner=as_owner) if named else NOTHING
    if not request.mounts:
        return grants
    return replace(
        grants,
        mounts=_paths(request, writable=False),
        writable_mounts=_paths(request, writable=True),
        as_owner=(*grants.as_owner, *(("mounts",) if as_owner else ())),
    )


def _paths(request: SpawnRequest, *, writable: bool | None = None) -> tuple[str, ...]:
    """The paths of its mounts; with `writable` those that are or are not so."""
    return tuple(
        dict.fromkeys(
            mount.path.rstrip("/") or "/"
            for mount in request.mounts or ()
            if writable is None or mount.writable is writable
        )
    )
