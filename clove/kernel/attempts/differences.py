"""What it means when policy and an attempt disagree. Pure.

The names are those of `docs/agreement.md`, which describes each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from clove.policy.paths import within

if TYPE_CHECKING:
    from clove.kernel.attempts.outcome import Outcome
    from clove.policy import Decision, Permissions

__all__ = ["Place", "note"]

OWN_PLACES: Final = ("/workspace", "/tmp", "/usr", "/etc", "/proc", "/dev", "/app", "/opt/clove")  # noqa: S108
ALONE: Final = ("/tmp", "/dev/shm", "/proc")  # noqa: S108
"""Of each sandbox alone, so that a throw-away one has others."""
KNOWN: Final = "a known difference, %s of docs/agreement.md: %s"
TELL_US: Final = "a difference that docs/agreement.md does not know: please report it"
NO_WALL: Final = "an unsandboxed program is not contained (docs/security.md): policy binds syscalls"
UNHEARD: Final = "policy allows it, but the operating system or the host refuses"
UNRELIABLE: Final = (
    "policy alone is sure: the sandbox does not have the kernel's interpreter, so the agent's own "
    "made the attempt. Spawned without `python`, the agent has the kernel's"
)
GRANTS: Final = "name it in the agent's permissions"


class Place(NamedTuple):
    """Where the attempt was made.

    @ivar sandboxed: in namespaces.
    @ivar network: it has a way to the network.
    @ivar stale: its mounts are of permissions that it no longer has.
    """

    sandboxed: bool
    network: bool = True
    stale: bool = False


def note(
    syscall: str,
    path: str,
    decision: Decision,
    outcome: Outcome,
    permissions: Permissions,
    place: Place,
) -> str:
    """Why they differ, as far as can be told; empty where they agree or nothing was tried.

    Of an attempt that cannot be relied on it says so.

    @param path: the file's, absolute; empty where it is about none.
    """
    if not outcome.reliable:
        return UNRELIABLE
    if outcome.succeeded is None or outcome.succeeded == decision.allowed:
        return ""
    if decision.allowed:
        return _refused_all_the_same(syscall, path, outcome, place)
    if not place.sandboxed:
        return NO_WALL
    if syscall == "EXEC":
        what = "a sandbox knows files, no command lines"
        return KNOWN % ("command-words, command-names or a row near them", what)
    if syscall in ("HTTP", "CONNECT"):
        return KNOWN % ("own-requests", "a connection is judged by its name, port and bytes")
    return _possible_all_the_same(syscall, path, decision, permissions, place)


def _refused_all_the_same(syscall: str, path: str, outcome: Outcome, place: Place) -> str:
    """Policy allows it, and it failed."""
    if syscall in ("HTTP", "CONNECT"):
        if place.sandboxed and not place.network:
            what = "HTTP goes by the kernel; the agent itself has no network (`network` in SPAWN)"
            return KNOWN % ("own-network", what)
        return UNHEARD
    if not place.sandboxed:
        return UNHEARD
    if outcome.errno_name in ("ENOENT", "EROFS") and place.stale:
        return KNOWN % ("until-restart", "the mounts are those of its permissions at its start")
    if outcome.errno_name == "ENOENT" and _beneath(path, ALONE):
        return "what the agent has there is its own sandbox's; the attempt was made in another one"
    if syscall in ("READ", "WRITE") and outcome.errno_name == "ENOENT":
        return (
            f"its sandbox has no such path. A path of the host is there when granted: {GRANTS} "
            "and restart it"
        )
    if outcome.errno_name == "EROFS":
        return f"its sandbox has this path read-only. To mount it writable, {GRANTS} for writing"
    if outcome.errno_name in ("EACCES", "EPERM"):
        return (
            "owner and mode of the file decide, or what is blocked covers it "
            "(docs/agreement.md, Whose files they are)"
        )
    return UNHEARD


def _beneath(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _possible_all_the_same(
    syscall: str, path: str, decision: Decision, permissions: Permissions, place: Place
) -> str:
    """Policy refuses a file, and it could be opened in the sandbox."""
    first, _, rest = path.removeprefix("/proc/").partition("/")
    if path.startswith("/proc/") and rest and (first.isdigit() or first.endswith("self")):
        return KNOWN % ("own-process", "an agent reads its own entries in /proc")
    if place.stale:
        return KNOWN % ("until-restart", "the mounts are those of its permissions at its start")
    writable = permissions.allowed_write_paths
    named = (*permissions.allowed_read_paths, *writable)
    if decision.rule.startswith("blocked_paths") and named and within(path, named):
        what = "what a pattern matched at the start is covered, later files are not"
        return KNOWN % ("later-names or replaced-files", what)
    if syscall == "READ" and writable and within(path, writable):
        return KNOWN % ("writable-is-readable", "no mount can be written and not read")
    if _beneath(path, OWN_PLACES):
        return KNOWN % ("own-places", "it is the sandbox's own or a public part of the system")
    return TELL_US
