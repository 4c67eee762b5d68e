"""Which syscalls remote callers may make at all. Pure."""

from __future__ import annotations

from typing import Final

from clove.errors import PermissionDenied

__all__ = ["REMOTE_CALLS", "require_remote"]

REMOTE_CALLS: Final[frozenset[str]] = frozenset(
    (
        *("SPAWN", "LIST", "KILL", "PAUSE", "RESUME", "LOGS", "WAIT", "INSPECT", "RESTART"),
        *("SIGNAL", "RENAME", "PRUNE", "UPDATE", "OUTPUT", "INPUT", "ATTACH", "CLOSE_STREAM"),
        *("RESIZE", "THINK", "LLM_REPORT", "HTTP", "ASYNC_POLL", "GET_PERMS", "SET_PERMS"),
        *("SEND", "RECV", "BROADCAST", "REGISTER", "ACK", "STORE", "FETCH", "DELETE", "KEYS"),
        *("SUBSCRIBE", "UNSUBSCRIBE", "POLL_EVENTS", "EMIT"),
        *("METRICS_SYSTEM", "METRICS_AGENT", "METRICS_ALL_AGENTS"),
    )
)
"""Syscalls that a remote caller may make, with the permissions and the targets that it is granted. One
that is not named here is refused: files and commands of this host, what concerns the kernel itself,
and what runs trials on it."""


def require_remote(call: str) -> None:
    """Go on only if remote callers may make this syscall at all.

    @raise PermissionDenied: rule `remote`.
    """
    if call not in REMOTE_CALLS:
        raise PermissionDenied(
            f"{call} by a caller of another kernel",
            rule="remote",
            hint="it has no files and commands here: SPAWN an agent, and have that do it",
        )
