"""Names in directories that a caller may look at and change, judged on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clove.errors import LimitExceeded, NotFound, PermissionDenied
from clove.kernel.files.lookup import is_narrowed, whole_path
from clove.policy import check_read, check_write
from clove.sandbox.host import HostView

if TYPE_CHECKING:
    from clove.kernel.files.limits import FileLimits
    from clove.kernel.files.lookup import Check
    from clove.policy import Permissions
    from clove.sandbox.interface import IEntry, IFile, IView

__all__ = ["enter_judged", "make_directories", "move", "remove", "resolve_judged"]

DIRECTORY: Final = "directory-rules"
"""Rule of a denial: rules about paths hold, and a directory may have in it what they deny."""
DEEPEST: Final = 64
"""Directories that one MKDIR makes within each other."""


async def resolve_judged(
    view: IView, permissions: Permissions, path: str, cwd: str | None, what: str
) -> IFile:
    """Hold what a path leads to, whatever kind it is, if it may be read."""
    whole = await whole_path(view, path, cwd)
    check_read(permissions, whole).require(f"{what} {path!r}")
    held = await view.resolve(whole)
    try:
        check_read(permissions, held.path).require(f"{what} {path!r}")
    except BaseException:
        held.close()
        raise
    return held


async def enter_judged(
    view: IView,
    permissions: Permissions,
    path: str,
    cwd: str | None,
    what: str,
    *checks: Check,
) -> IEntry:
    """Hold a name's directory, if policy allows both the path as named and the real one.

    @raise PermissionDenied: by a rule about paths.
    """
    whole = await whole_path(view, path, cwd)
    for check in checks:
        check(permissions, whole).require(f"{what} {path!r}")
    entry = await view.enter(whole)
    try:
        for check in checks:
            check(permissions, entry.path).require(f"{what} {path!r}")
    except BaseException:
        entry.close()
        raise
    return entry


async def make_directories(
    view: IView, permissions: Permissions, path: str, cwd: str | None, *, parents: bool, mode: int
) -> int:
    """Make a directory, and with `parents` those above it.

    @return: how many were made.
    @raise AlreadyExists: something is there (with `parents`: no directory).
    """
    if not parents:
        await _make_one(view, permissions, path, cwd, mode)
        return 1
    missing: list[str] = []
    left = path.rstrip("/") or "/"
    while not await _is_directory(view, permissions, left, cwd):
        missing.append(left)
        if len(missing) > DEEPEST:
            raise LimitExceeded(f"at most {DEEPEST} directories within each other at once")
        left = left.rpartition("/")[0].rstrip("/") or ("/" if left.startswith("/") else ".")
    for each in reversed(missing):
        await _make_one(view, permissions, each, cwd, mode)
    return len(missing)


async def _make_one(
    view: IView, permissions: Permissions, path: str, cwd: str | None, mode: int
) -> None:
    entry = await enter_judged(view, permissions, path.rstrip("/"), cwd, "MKDIR", check_write)
    try:
        await entry.make_directory(mode)
    finally:
        entry.close()


async def _is_directory(view: IView, permissions: Permissions, path: str, cwd: str | None) -> bool:
    """Is there a directory (of which the caller must be allowed to know)?"""
    whole = await whole_path(view, path, cwd)
    check_write(permissions, whole).require(f"MKDIR {path!r}")
    try:
        held = await view.resolve(whole)
    except NotFound:
        return False
    held.close()
    check_write(permissions, held.path).require(f"MKDIR {path!r}")
    return held.kind == "directory"


async def move(
    view: IView,
    permissions: Permissions,
    path: str,
    to: str,
    cwd: str | None,
    *,
    overwrite: bool,
) -> None:
    """Move a name to another one.

    It must be allowed to be read and written: under its new name other rules hold for it.

    @raise PermissionDenied: also rule `directory-rules`.
    """
    source = await enter_judged(view, permissions, path, cwd, "MOVE", check_read, check_write)
    try:
        target = await enter_judged(view, permissions, to, cwd, "MOVE", check_write)
        try:
            facts, _ = await source.facts()
            _require_movable(view, permissions, facts.kind, facts.links, path, "MOVE")
            await source.rename(target, replace=overwrite)
        finally:
            target.close()
    finally:
        source.close()


async def remove(
    view: IView,
    permissions: Permissions,
    path: str,
    cwd: str | None,
    limits: FileLimits,
    *,
    recursive: bool,
) -> int:
    """Remove a name, with all in it if it is a directory and C{recursive}.

    @return: how many names were removed.
    @raise LimitExceeded: there are more than one request may remove; those were.
    """
    entry = await enter_judged(view, permissions, path, cwd, "REMOVE", check_write)
    try:
        if recursive:
            facts, _ = await entry.facts()
            _require_movable(view, permissions, facts.kind, 1, path, "REMOVE")
        total, gone = 0, False
        while not gone:
            if total >= limits.removed:
                raise LimitExceeded(
                    f"{path!r} has more than {limits.removed} names in it, which were removed",
                    hint="ask again for the rest",
                )
            removed, gone = await entry.remove(limits.removed_at_once, recursive=recursive)
            total += max(removed, 1)
    finally:
        entry.close()
    return total


def _require_movable(
    view: IView, permissions: Permissions, kind: str, links: int, path: str, what: str
) -> None:
    """On the host, where no mount holds for rules about paths, a directory is changed as a whole
    only where there are none; and a file with more names than one stays where it is.
    """
    if not isinstance(view, HostView) or not is_narrowed(permissions):
        return
    if kind == "directory":
        raise PermissionDenied(
            f"{what} {path!r}: rules about paths may deny something in this directory",
            rule=DIRECTORY,
            hint="name the files in it, one by one",
        )
    if links > 1:
        raise PermissionDenied(
            f"{what} {path!r}: the file has {links} names (hard links)",
            rule="hard-link",
            hint="copy the file and use the copy",
        )
