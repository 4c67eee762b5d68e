"""From a path that a caller names to what is really there, judged on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.errors import InvalidRequest, PermissionDenied
from clove.sandbox.host import HostView
from clove.sandbox.interface import IFile, IView

if TYPE_CHECKING:
    from clove.policy import Decision, Permissions

__all__ = ["Check", "find", "is_narrowed", "whole_path"]

Check = Callable[["Permissions", str], "Decision"]
"""C{check_read} or C{check_write} of L{clove.policy}."""


async def whole_path(view: IView, path: str, cwd: str | None) -> str:
    """The absolute path that is meant; nothing of it is resolved or shortened.

    @param cwd: where relative paths start; None for the view's own directory.
    @raise InvalidRequest: empty, or with a NUL.
    """
    if not path or "\0" in path:
        raise InvalidRequest("a path must not be empty or hold a NUL")
    if path.startswith("/"):
        return path
    if cwd is None:
        here = await view.resolve(".")
        cwd = here.path
        here.close()
    return f"{cwd.rstrip('/')}/{path}"


async def find(
    view: IView,
    permissions: Permissions,
    path: str,
    *,
    cwd: str | None,
    check: Check,
    what: str,
) -> IFile:
    """Hold what a path leads to, if policy allows both the path as named and the real path.

    The path as it was named is judged first, so that a denied name gets the
    same answer whether or not it exists; then the real path of what is held.
    A file with more names than one is denied on the host while rules about
    paths hold, as no rule about one name can speak for the others.

    @param what: the syscall, for error texts.
    @return: a held file (or missing name), which the caller closes.
    @raise PermissionDenied: by a rule about paths, or `hard-link`.
    @raise InvalidRequest: it is a directory, fifo, socket or device.
    @raise NotFound: even its directory is missing.
    """
    whole = await whole_path(view, path, cwd)
    check(permissions, whole).require(f"{what} {path!r}")
    held = await view.resolve(whole)
    try:
        check(permissions, held.path).require(f"{what} {path!r}")
        _require_file(held, path)
        if held.links > 1 and isinstance(view, HostView) and is_narrowed(permissions):
            raise PermissionDenied(
                f"{what} {path!r}: the file has {held.links} names (hard links)",
                rule="hard-link",
                hint="copy the file and use the copy",
            )
    except BaseException:
        held.close()
        raise
    return held


def _require_file(held: IFile, path: str) -> None:
    if held.kind not in ("file", "missing"):
        raise InvalidRequest(
            f"{path!r} is a {held.kind}, not a file",
            hint="LISTDIR lists a directory" if held.kind == "directory" else "",
        )


def is_narrowed(permissions: Permissions) -> bool:
    """Do rules about paths hold?"""
    return bool(
        permissions.blocked_paths
        or permissions.allowed_read_paths
        or permissions.allowed_write_paths
    )
