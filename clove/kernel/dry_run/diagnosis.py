"""Why policy and a dry run disagree. Pure.

The names are those of `docs/agreement.md`, which describes each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from clove.policy.paths import within

if TYPE_CHECKING:
    from clove.kernel.dry_run.outcome import Outcome
    from clove.policy import Decision, Permissions

__all__ = ["Conditions", "diagnose"]

OF_ITS_OWN: Final = ("/workspace", "/app", "/usr", "/opt/clove")
OWN_PATHS: Final = ("/workspace", "/tmp", "/usr", "/etc", "/proc", "/dev", "/app", "/opt/clove")  # noqa: S108
ALONE: Final = ("/tmp", "/dev/shm", "/proc")  # noqa: S108
"""Of each sandbox alone, so that a clone has others."""
KNOWN: Final = "a known difference, %s of docs/agreement.md: %s"
TELL_US: Final = "a difference that docs/agreement.md does not know: please report it"
NO_WALL: Final = "an unsandboxed program is not contained (docs/security.md): policy binds syscalls"
UNHEARD: Final = "policy allows it, but the operating system refuses"
UNREACHED: Final = "policy allows it, but the host is not reached"
UNRELIABLE: Final = (
    "policy alone is sure: the agent's own interpreter made the dry run, because its sandbox has "
    "no other that can be executed. Spawned without `python`, it has the kernel's"
)
GRANTS: Final = "name it in the agent's permissions"
UNTIL_RESTART: Final = KNOWN % (
    "until-restart",
    "what its sandbox has is that of its permissions at its start",
)
ONE_PROGRAM: Final = (
    "the dry run executes the first program of a line alone; ask about the others by themselves. "
    "A blocked program is covered by that name (docs/agreement.md, What can be executed)"
)
NO_LANDLOCK: Final = (
    "this Linux has no Landlock, so that rules about what may be executed bind the EXEC syscall "
    "alone (docs/agreement.md, What can be executed)"
)


class Conditions(NamedTuple):
    """Under which conditions the dry run was made.

    @ivar sandboxed: in namespaces.
    @ivar network: it has a way to the network.
    @ivar stale: its mounts are of permissions that it no longer has.
    """

    sandboxed: bool
    network: bool = True
    stale: bool = False


def diagnose(
    syscall: str,
    path: str,
    decision: Decision,
    outcome: Outcome,
    permissions: Permissions,
    conditions: Conditions,
) -> str:
    """Why they differ, as far as can be told; empty where they agree or nothing was tried.

    It says of an outcome that it is not reliable.

    @param path: the file's, absolute; empty where it is about none.
    """
    if not outcome.reliable:
        return UNRELIABLE
    if outcome.succeeded is None or outcome.succeeded == decision.allowed:
        return ""
    if decision.allowed:
        return _refused_all_the_same(syscall, path, outcome, permissions, conditions)
    if not conditions.sandboxed:
        return NO_WALL
    if syscall == "EXEC":
        return _executed_all_the_same(decision, outcome, conditions)
    if syscall in ("HTTP", "CONNECT"):
        return KNOWN % ("own-requests", "a connection is judged by its name, port and bytes")
    return _possible_all_the_same(syscall, path, decision, permissions, conditions)


def _refused_all_the_same(
    syscall: str, path: str, outcome: Outcome, permissions: Permissions, conditions: Conditions
) -> str:
    """Policy allows it, and it failed."""
    if syscall in ("HTTP", "CONNECT"):
        if conditions.sandboxed and not conditions.network:
            what = "HTTP goes by the kernel; the agent itself has no network (`network` in SPAWN)"
            return KNOWN % ("own-network", what)
        return UNREACHED
    if not conditions.sandboxed:
        return UNHEARD
    if outcome.errno_name in ("ENOENT", "EROFS", "EACCES") and conditions.stale:
        return UNTIL_RESTART
    if syscall == "EXEC":
        return _not_executed(outcome.errno_name)
    if outcome.errno_name == "ENOENT":
        return _missing(syscall, path, permissions)
    if outcome.errno_name == "EROFS":
        return f"its sandbox has this path read-only. To mount it writable, {GRANTS} for writing"
    if outcome.errno_name in ("EACCES", "EPERM"):
        return (
            "owner and mode of the file decide, which `chmod` changes, or what is blocked covers "
            "it (docs/agreement.md, Owners of files)"
        )
    return UNHEARD


def _is_named(path: str, permissions: Permissions) -> bool:
    """Does an allowed list that is not empty hold the path?"""
    lists = (permissions.allowed_read_paths, permissions.allowed_write_paths)
    return any(within((path,), allowed) for allowed in lists if allowed)


def _missing(syscall: str, path: str, permissions: Permissions) -> str:
    """Policy allows a path, and the sandbox does not have it."""
    granted = _is_named(path, permissions)
    if not granted and _beneath(path, ALONE):
        return "what the agent has there is its own sandbox's; the dry run was made in another one"
    if granted or _beneath(path, OF_ITS_OWN):
        if syscall == "WRITE":
            return "the directory is not there: WRITE makes a file, and no directories"
        later = "; a file that came after the agent's start, to match a pattern, needs a restart"
        return f"there is no such file{later if granted else ''}"
    return (
        f"its sandbox has no such path. A path of the host is there when granted: {GRANTS} "
        "and restart it"
    )


def _not_executed(errno_name: str) -> str:
    """Policy allows a command, and its program cannot be executed."""
    if errno_name == "ENOENT":
        return (
            "its sandbox has no such program: it has those of the host's /usr, and what the agent "
            "has in its workspace or was granted"
        )
    if errno_name in ("EACCES", "EPERM"):
        return (
            "the file has no mode to be executed, or `commands` in SPAWN's isolation leaves it out "
            "(docs/agreement.md, What can be executed)"
        )
    return UNHEARD


def _executed_all_the_same(decision: Decision, outcome: Outcome, conditions: Conditions) -> str:
    """Policy refuses a command, and its first program can be executed."""
    which, _, pattern = decision.rule.partition(": ")
    if which == "blocked_commands":
        if " " in pattern.strip():
            return KNOWN % ("command-words", "a sandbox knows programs, not their words")
        return UNTIL_RESTART if conditions.stale else ONE_PROGRAM
    if conditions.stale:
        return UNTIL_RESTART
    if outcome.sandbox.get("landlock") is False:
        return NO_LANDLOCK
    if which == "allowed_commands":
        rows = "command-names, start-programs or private-programs"
        return KNOWN % (rows, "a sandbox knows files, by whatever name")
    return KNOWN % ("start-programs", "the agent is started with it")


def _beneath(path: str, directories: tuple[str, ...]) -> bool:
    return any(path == directory or path.startswith(f"{directory}/") for directory in directories)


def _possible_all_the_same(
    syscall: str, path: str, decision: Decision, permissions: Permissions, conditions: Conditions
) -> str:
    """Policy refuses a file, and it could be opened in the sandbox."""
    first, _, rest = path.removeprefix("/proc/").partition("/")
    if path.startswith("/proc/") and rest and (first.isdigit() or first.endswith("self")):
        return KNOWN % ("own-process", "an agent reads its own entries in /proc")
    if conditions.stale:
        return UNTIL_RESTART
    writable = permissions.allowed_write_paths
    if decision.rule.startswith("blocked_paths") and _is_named(path, permissions):
        what = "what a pattern matched at the start is covered, later files are not"
        return KNOWN % ("later-names or replaced-files", what)
    if syscall == "READ" and writable and within((path,), writable):
        return KNOWN % ("writable-is-readable", "no mount can be written and not read")
    if _beneath(path, OWN_PATHS):
        return KNOWN % ("own-places", "it is the sandbox's own or a public part of the system")
    if "/.git/" in f"{path}/":
        return KNOWN % ("worktrees", "a granted worktree brings the repository that it belongs to")
    return TELL_US
