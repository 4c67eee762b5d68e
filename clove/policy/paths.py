"""Which paths an agent may read and write.

Allowed lists: `*` stays within a segment, `**` crosses segments (none as well),
and a pattern without any wildcard stands for that path and all beneath it. An
empty list allows every path.

Blocked lists always win and fail closed: whatever lies beneath a match is
blocked too (`~/.ssh/*` blocks `~/.ssh/keys/id`), and `~` is the kernel's own
home, `/root` and every `/home/*`.

These checks judge text. The callers give them the real path of a descriptor
that they hold already, so that no link can lie.
"""

from __future__ import annotations

import functools
from typing import Final

from clove.policy.automaton import LOOP
from clove.policy.globs import HOMES, Token, expand_home, is_plain, kernel_home, tokens
from clove.policy.levels import Level
from clove.policy.pathsets import MAX_PATH, PathSet, parts_of
from clove.policy.permissions import Decision, Permissions, check_flag
from clove.policy.work import Work

__all__ = [
    "MAX_PATH",
    "PathSet",
    "allowed_set",
    "blocked_set",
    "check_read",
    "check_write",
    "normalise_path",
    "within",
]

_CACHED: Final = 256
"""Lists that are kept compiled, of each kind; and decisions that are kept."""


def normalise_path(path: str) -> str:
    """Lexical normal form of an absolute path: no `//`, `.` or `..`.

    @raise InvalidRequest: not absolute, too long, or with a NUL.
    """
    return "/" + "/".join(parts_of(path))


@functools.lru_cache(maxsize=_CACHED)
def allowed_set(patterns: tuple[str, ...], home: str | None = None) -> PathSet:
    """An allowed list, compiled. `~` is the home given, else the kernel's.

    @raise InvalidRequest: a pattern makes no sense.
    @raise LimitExceeded: there is too much in the list.
    """
    compiled: list[tuple[str, list[Token]]] = []
    for pattern in patterns:
        for expanded in expand_home(pattern, [home or kernel_home()]):
            sequence = tokens(expanded)
            if is_plain(expanded):
                sequence.append(LOOP)
            compiled.append((pattern, sequence))
    return PathSet(compiled)


@functools.lru_cache(maxsize=_CACHED)
def blocked_set(patterns: tuple[str, ...], home: str | None = None) -> PathSet:
    """A blocked list, compiled. `~` is every home there may be.

    @raise InvalidRequest: a pattern makes no sense.
    @raise LimitExceeded: there is too much in the list.
    """
    homes = dict.fromkeys([home or kernel_home(), kernel_home(), *HOMES])
    return PathSet(
        [
            (pattern, tokens(expanded))
            for pattern in patterns
            for expanded in expand_home(pattern, homes)
        ]
    )


def within(
    patterns: tuple[str, ...], others: tuple[str, ...], work: Work | None = None
) -> tuple[str, ...]:
    """Of the allowed patterns those that surely allow no more than the others together do.

    @param others: an allowed list, so an empty one allows everything.
    @param work: what bounds this, if more than this belongs to it.
    @raise LimitExceeded: there is too much to compare.
    """
    granted = frozenset(others)
    rest = tuple(pattern for pattern in patterns if pattern not in granted)
    if not others or not rest:
        return patterns
    work = work or Work("path patterns held against others")
    work.compile(rest)
    work.compile(others)
    inside = allowed_set(rest).within(allowed_set(others), work)
    kept = granted.union(pattern for pattern, is_in in zip(rest, inside, strict=True) if is_in)
    return tuple(pattern for pattern in patterns if pattern in kept)


def check_read(permissions: Permissions, path: str, home: str | None = None) -> Decision:
    """May this absolute path be read?

    @param home: what `~` means to the agent; None for the kernel's own home.
    @raise InvalidRequest: see L{clove.policy.pathsets.PathSet.find}.
    """
    return _decide(permissions, "can_read", "allowed_read_paths", path, home)


def check_write(permissions: Permissions, path: str, home: str | None = None) -> Decision:
    """May this absolute path be written? As L{check_read}."""
    return _decide(permissions, "can_write", "allowed_write_paths", path, home)


def _decide(
    permissions: Permissions, flag: str, field: str, path: str, home: str | None
) -> Decision:
    """The same script is started, and the same file read, again and again."""
    decision = check_flag(permissions, flag)
    if not decision.allowed:
        return decision
    judge = _judge if len(path) <= MAX_PATH else _judge.__wrapped__  # keep nothing long
    allowed: tuple[str, ...] = getattr(permissions, field)
    return judge(permissions.level, permissions.blocked_paths, field, allowed, path, home)


@functools.lru_cache(maxsize=_CACHED)
def _judge(
    level: Level,
    blocked_paths: tuple[str, ...],
    field: str,
    allowed: tuple[str, ...],
    path: str,
    home: str | None,
) -> Decision:
    """By the lists that count alone: whole permissions would be kept with what else is in them."""
    if blocked_paths:
        blocked = blocked_set(blocked_paths, home).find(path, beneath=True)
        if blocked is not None:
            return Decision(
                False, f"blocked_paths: {blocked}", "blocked paths win over every allowed one"
            )
    if not allowed:
        parts_of(path)
        return Decision(True, f"level: {level.value}")
    found = allowed_set(allowed, home).find(path)
    if found is None:
        return Decision(False, field, f"allowed are {', '.join(allowed[:8])}")
    return Decision(True, f"{field}: {found}")
