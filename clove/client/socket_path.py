"""Paths of the kernel's sockets and of the caller's own files. Standard library only."""

from __future__ import annotations

import os

from clove.errors import ConnectionLost

__all__ = ["absolute", "socket_paths", "unreachable"]


def socket_paths(given: str | None) -> tuple[str, ...]:
    """The sockets to try: as given, else $CLOVE_SOCKET, else the usual ones."""
    named = given or os.environ.get("CLOVE_SOCKET")
    if named:
        return (named,)
    from clove.socket_paths import usual_sockets  # agents, which start often, are told theirs

    return tuple(usual_sockets(os.geteuid(), os.environ))


def absolute(path: str) -> str:
    """A relative path made absolute, if that file exists here; else as it is."""
    if os.path.isabs(path) or not os.path.exists(path):
        return path
    return os.path.abspath(path)


def unreachable(paths: tuple[str, ...], errors: list[OSError]) -> ConnectionLost:
    """The error for a kernel that cannot be reached.

    @param paths: where it was looked for.
    @param errors: what happened at each.
    """
    tried = list(zip(paths, errors, strict=True))
    for path, error in tried:
        if isinstance(error, PermissionError):
            return ConnectionLost(
                f"the socket {path} may not be opened by this user: {error.strerror}",
                hint="run as the kernel's own user, or let its operator grant this one",
            )
    for path, error in tried:
        if not isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return ConnectionLost(
                f"the kernel at {path} cannot be reached: {error.strerror or error}"
            )
    where = f" --socket {paths[0]}" if len(paths) == 1 else ""
    return ConnectionLost(
        f"no kernel listens at {' or '.join(paths)}",
        hint=f"start one: clove up{where}; or twistd -n clove-kernel{where}",
    )
