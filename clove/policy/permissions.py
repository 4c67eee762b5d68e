"""What one agent may do: a frozen record, the defaults of each level, the switches; and what checks answer."""

from __future__ import annotations

import functools
from typing import Any, Final, NamedTuple

import msgspec

from clove.errors import InvalidRequest, PermissionDenied
from clove.policy.levels import Level

__all__ = [
    "BLOCKED_COMMANDS",
    "BLOCKED_PATHS",
    "FLAGS",
    "Decision",
    "Permissions",
    "check_any_flag",
    "check_flag",
    "for_level",
]

FLAGS: Final = (
    "can_exec",
    "can_read",
    "can_write",
    "can_think",
    "can_spawn",
    "can_http",
    "can_message",
    "can_store",
    "can_emit",
)
"""The switches, one a family of syscalls; the table of syscalls says which one each needs."""

BLOCKED_PATHS: Final = (
    "~/.ssh",
    "~/.aws",
    "~/.azure",
    "~/.gnupg",
    "~/.kube",
    "~/.docker",
    "~/.config/gcloud",
    "~/.config/gh",
    "~/.clove",
    "~/.env",
    "~/.netrc",
    "~/.pgpass",
    "~/.pypirc",
    "~/.npmrc",
    "~/.git-credentials",
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh/*_key",
    "/etc/ssl/private",
    "/proc/kcore",
    "/proc/*/environ",
    "/proc/*/mem",
    "/proc/*/task/*/environ",
    "/proc/*/task/*/mem",
    "/run/secrets",
    "/var/run/secrets",
)
"""Where credentials live: blocked at every level but unrestricted."""

BLOCKED_COMMANDS: Final = (
    "sudo",
    "su",
    "doas",
    "pkexec",
    "rm -rf",
    "mkfs",
    "mkfs.ext4",
    "mkfs.xfs",
    "mkfs.btrfs",
    "mkfs.vfat",
    "mke2fs",
    "dd",
    "shutdown",
    "reboot",
    "halt",
    "poweroff",
    "mount",
    "umount",
    "insmod",
    "modprobe",
    "chroot",
    "nsenter",
)
"""Dangerous commands of the level sandboxed. A guard rail: see L{clove.policy.commands}."""

SANDBOX_PATHS: Final = ("/tmp/**", "/workspace/**")  # noqa: S108


class Decision(NamedTuple):
    """An answer of policy.

    @ivar allowed: may it be done.
    @ivar rule: the rule that decided, such as `blocked_paths: ~/.ssh/*`.
    @ivar hint: for a denial, what would help; else empty.
    """

    allowed: bool
    rule: str
    hint: str = ""

    def require(self, what: str) -> None:
        """Go on only if allowed.

        @param what: the thing that was asked for, for the error's text.
        @raise PermissionDenied: with this decision's rule and hint.
        """
        if not self.allowed:
            raise PermissionDenied(f"{what} ({self.rule})", rule=self.rule, hint=self.hint)


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """The permissions of one agent. The checks look at the fields, never at the level's name.

    @ivar level: where the defaults came from; a label in answers and logs.
    @ivar allowed_read_paths, allowed_write_paths: globs; empty for every path.
    @ivar blocked_paths: globs that always win, with all that lies beneath a match.
    @ivar allowed_commands, blocked_commands: see L{clove.policy.commands}.
    @ivar allowed_domains: see L{clove.policy.domains}; empty for every public host.
    @ivar allowed_http_methods: empty for every usual method.
    @ivar max_llm_tokens, max_llm_calls: in the agent's life; 0 for no limit.
    @ivar max_exec_time_ms: milliseconds for one command; 0 for no limit.
    """

    level: Level
    can_exec: bool = False
    can_read: bool = False
    can_write: bool = False
    can_think: bool = False
    can_spawn: bool = False
    can_http: bool = False
    can_message: bool = False
    can_store: bool = False
    can_emit: bool = False
    allowed_read_paths: tuple[str, ...] = ()
    allowed_write_paths: tuple[str, ...] = ()
    blocked_paths: tuple[str, ...] = ()
    allowed_commands: tuple[str, ...] = ()
    blocked_commands: tuple[str, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    allowed_http_methods: tuple[str, ...] = ()
    max_llm_tokens: int = 0
    max_llm_calls: int = 0
    max_exec_time_ms: int = 0

    def to_wire(self) -> dict[str, Any]:
        """A JSON-ready dict. `allowed_paths` holds what is in both lists of paths.

        L{clove.policy.parse} reads it back to equal permissions.
        """
        wire: dict[str, Any] = msgspec.to_builtins(self)
        writable = frozenset(self.allowed_write_paths)
        wire["allowed_paths"] = [path for path in self.allowed_read_paths if path in writable]
        wire["llm_quota"] = {"max_tokens": self.max_llm_tokens, "max_calls": self.max_llm_calls}
        return wire


@functools.cache
def _defaults() -> dict[Level, Permissions]:
    flags: dict[str, Any] = dict.fromkeys(FLAGS, True)
    working = flags | {"can_spawn": False, "can_http": False}
    return {
        Level.UNRESTRICTED: Permissions(level=Level.UNRESTRICTED, **flags),
        Level.STANDARD: Permissions(level=Level.STANDARD, blocked_paths=BLOCKED_PATHS, **working),
        Level.SANDBOXED: Permissions(
            level=Level.SANDBOXED,
            blocked_paths=BLOCKED_PATHS,
            blocked_commands=BLOCKED_COMMANDS,
            allowed_read_paths=SANDBOX_PATHS,
            allowed_write_paths=SANDBOX_PATHS,
            **working,
        ),
        Level.READONLY: Permissions(
            level=Level.READONLY, blocked_paths=BLOCKED_PATHS, can_read=True, can_think=True
        ),
        Level.MINIMAL: Permissions(
            level=Level.MINIMAL, blocked_paths=BLOCKED_PATHS, can_think=True
        ),
    }


@functools.lru_cache(maxsize=16)  # there are five
def for_level(level: Level | str) -> Permissions:
    """The default permissions of a level.

    @raise InvalidRequest: no such level.
    """
    try:
        return _defaults()[Level(level)]
    except ValueError:
        names = ", ".join(known.value for known in Level)
        raise InvalidRequest(
            f"no such permission level: {level!r}", hint=f"the levels are {names}"
        ) from None


_ALLOWED = {flag: Decision(True, flag) for flag in FLAGS}


def check_flag(permissions: Permissions, flag: str) -> Decision:
    """May the agent use this family of syscalls at all?

    @param flag: one of L{FLAGS}.
    """
    if getattr(permissions, flag):
        return _ALLOWED[flag]
    level = permissions.level
    rule = flag if getattr(_defaults()[level], flag) else f"level: {level.value}"
    return Decision(
        False, rule, f"it needs {flag}, which its parent (if it has it) or the operator can give"
    )


def check_any_flag(permissions: Permissions, flags: tuple[str, ...]) -> Decision | None:
    """Does one of these flags let the agent do it?

    @return: None if there are no flags: nothing is needed. A refusal names the first.
    """
    for flag in flags:
        if getattr(permissions, flag):
            return check_flag(permissions, flag)
    return check_flag(permissions, flags[0]) if flags else None
