"""What command rules say about programs, where a sandbox can hold them to it. Pure.

Mounts and Landlock know files, no command lines. So a blocked rule counts when
it is a program's name alone, and of an allowed rule the program is what counts;
words after it bind the EXEC syscall alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from clove.policy.command_rules import rules_of
from clove.policy.permissions import Permissions

__all__ = ["EVERY_PROGRAM", "Programs", "programs_of"]


class Programs(NamedTuple):
    """The programs that permissions allow and block.

    @ivar blocked: names of programs that are blocked whatever their arguments.
    @ivar worded: blocked rules that have words, such as `git push`.
    @ivar allowed: what alone may be run, each as its rule has it: a name, or a path;
        empty when nothing may; None when everything may.
    """

    blocked: tuple[str, ...] = ()
    worded: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None


EVERY_PROGRAM: Final = Programs()


def programs_of(permissions: Permissions) -> Programs:
    """What the command rules and `can_exec` come to for programs.

    @raise InvalidRequest: a rule cannot be read.
    """
    blocked = rules_of(permissions.blocked_commands)
    allowed = rules_of(permissions.allowed_commands)
    names: tuple[str, ...] | None = None
    if not permissions.can_exec:
        names = ()
    elif allowed:
        names = tuple(
            dict.fromkeys(rule.program if rule.is_usual else rule.given for rule in allowed)
        )
    return Programs(
        tuple(dict.fromkeys(rule.program for rule in blocked if rule.is_whole)),
        tuple(dict.fromkeys(rule.text for rule in blocked if not rule.is_whole)),
        names,
    )
