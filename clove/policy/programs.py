"""What command rules say about programs, where a sandbox can hold them to it. Pure.

Mounts and Landlock know files, no command lines. So a blocked rule counts when
it is a program's name alone, and of an allowed rule the program is what counts;
words after it bind the EXEC syscall alone.
"""

from __future__ import annotations

import functools
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

_CACHED: Final = 256
"""Pairs of lists of which the answer is kept."""


def programs_of(permissions: Permissions) -> Programs:
    """What the command rules and `can_exec` come to for programs.

    @raise InvalidRequest: a rule cannot be read.
    """
    return _programs(
        permissions.blocked_commands, permissions.allowed_commands, permissions.can_exec
    )


@functools.lru_cache(maxsize=_CACHED)
def _programs(
    blocked_commands: tuple[str, ...],
    allowed_commands: tuple[str, ...],
    can_exec: bool,
) -> Programs:
    blocked, allowed = rules_of(blocked_commands), rules_of(allowed_commands)
    names: tuple[str, ...] | None = None
    if not can_exec:
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
