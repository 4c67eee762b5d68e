"""Where the kernel is, and where the caller's own files are. Standard library only."""

from __future__ import annotations

import os

from clove.errors import ConnectionLost

__all__ = ["DEFAULT_SOCKET", "absolute", "nobody_there", "socket_path"]

DEFAULT_SOCKET = "/tmp/clove.sock"  # noqa: S108 (the contract's well-known path)


def socket_path(given: str | None) -> str:
    """The socket: as given, else $CLOVE_SOCKET, else the contract's default."""
    return given or os.environ.get("CLOVE_SOCKET") or DEFAULT_SOCKET


def absolute(path: str) -> str:
    """A relative path made absolute, if that file exists here; else as it is."""
    if os.path.isabs(path) or not os.path.exists(path):
        return path
    return os.path.abspath(path)


def nobody_there(path: str, error: OSError) -> ConnectionLost:
    """The error for a kernel that cannot be reached at `path`."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        where = "" if path == DEFAULT_SOCKET else f" --socket {path}"
        return ConnectionLost(
            f"no kernel listens at {path}", hint=f"start one: twistd -n clove-kernel{where}"
        )
    if isinstance(error, PermissionError):
        return ConnectionLost(
            f"the socket {path} may not be opened by this user: {error.strerror}",
            hint="run as the kernel's own user, or let its operator grant this one",
        )
    return ConnectionLost(f"the kernel at {path} cannot be reached: {error.strerror or error}")
