"""Which syscalls remote callers may make at all. Pure."""

from __future__ import annotations

from typing import Final

from clove.errors import PermissionDenied

__all__ = ["REMOTE_CALLS", "require_remote"]

_FILES: Final = ("READ", "WRITE", "LISTDIR", "STAT", "MKDIR", "MOVE", "REMOVE")
REMOTE_CALLS: Final[frozenset[str]] = frozenset(
    (
        *("SPAWN", "LIST", "KILL", "PAUSE", "RESUME", "LOGS", "WAIT", "INSPECT", "RESTART"),
        *("SIGNAL", "RENAME", "PRUNE", "UPDATE", "OUTPUT", "INPUT", "ATTACH", "CLOSE_STREAM"),
        *(
            "RESIZE",
            "RUN",
            "DIAL",
            "THINK",
            "LLM_REPORT",
            "HTTP",
            "ASYNC_POLL",
            "GET_PERMS",
            "SET_PERMS",
        ),
        *("SEND", "RECV", "BROADCAST", "REGISTER", "ACK", "STORE", "FETCH", "DELETE", "KEYS"),
        *("SUBSCRIBE", "UNSUBSCRIBE", "POLL_EVENTS", "EMIT"),
        *("METRICS_SYSTEM", "METRICS_AGENT", "METRICS_ALL_AGENTS"),
        *_FILES,
    )
)
"""Syscalls that a remote caller may make, with the permissions and the targets that it is granted. One
that is not named here is refused: commands of this host, what concerns the kernel itself, and what runs
trials on it. Those about files are for files of agents that it manages (L{require_agent})."""
_HERE: Final = "ask on that machine itself, where the kernel's own user may"
_ADVICE: Final = {
    "EXEC": "it has no commands here: SPAWN an agent, and have that do it, or RUN it in one of yours",
    "WATCH": "it has no files here: LISTDIR an agent's",
    "GET_AUDIT_LOG": "the audit log is that machine's own: clove audit there, as the kernel's own user; what is "
    "refused to your agents, as it happens: SUBSCRIBE (clove events SYSCALL_BLOCKED)",
    "WHY": "it would be tried on that machine: clove why there, as the kernel's own user; what an agent "
    "was given: INSPECT (clove inspect AGENT)",
}
"""What to do instead of a call."""


def require_remote(call: str) -> None:
    """Go on only if remote callers may make this syscall at all.

    @raise PermissionDenied: rule `remote`.
    """
    if call not in REMOTE_CALLS:
        raise PermissionDenied(
            f"{call} by a caller of another kernel", rule="remote", hint=_ADVICE.get(call, _HERE)
        )


def require_agent(agent: object) -> None:
    """Go on only if a remote caller asks about the files of an agent: it has none itself.

    @raise PermissionDenied: rule `remote`.
    """
    if agent is None:
        raise PermissionDenied(
            "files of this host by a caller of another kernel",
            rule="remote",
            hint="name one of your agents whose files are meant (`agent`)",
        )
