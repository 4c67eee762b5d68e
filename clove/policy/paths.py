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

from clove.errors import InvalidRequest
from clove.policy.automaton import LOOP, Automaton, Token
from clove.policy.decision import Decision
from clove.policy.globs import HOMES, expand_home, is_plain, kernel_home, segments, tokens
from clove.policy.permissions import Permissions, check_flag

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

MAX_PATH: Final = 4096
"""Characters of a path that is judged (PATH_MAX of Linux); a longer one is an InvalidRequest."""


def normalise_path(path: str) -> str:
    """Lexical normal form of an absolute path: no `//`, `.` or `..`.

    @raise InvalidRequest: not absolute, too long, or with a NUL.
    """
    return "/" + "/".join(_parts(path))


def _parts(path: str) -> list[str]:
    if not path.startswith("/"):
        raise InvalidRequest(f"not an absolute path: {path[:80]!r}", hint="it begins with /")
    if len(path) > MAX_PATH:
        raise InvalidRequest(f"a path has at most {MAX_PATH} characters")
    if "\0" in path:
        raise InvalidRequest("a path holds no NUL")
    found: list[str] = []
    for part in segments(path):
        if part == "..":
            if found:
                found.pop()
        elif part != ".":
            found.append(part)
    return found


class PathSet:
    """A list of patterns, compiled."""

    __slots__ = ("_automaton", "_names", "_patterns")

    def __init__(self, patterns: list[tuple[str, list[Token]]]) -> None:
        self._names = [name for name, _ in patterns]
        self._patterns = [sequence for _, sequence in patterns]
        self._automaton = Automaton(self._patterns)

    def find(self, path: str, *, beneath: bool = False) -> str | None:
        """The first pattern that matches the path, or None.

        @raise InvalidRequest: see L{normalise_path}.
        """
        number = self._automaton.match(_parts(path), beneath=beneath)
        return None if number < 0 else self._names[number]

    def contains(self, other: PathSet) -> bool:
        """Every path of the other set is surely in this one."""
        return all(self._automaton.covers(pattern) for pattern in other._patterns)


@functools.lru_cache(maxsize=128)
def allowed_set(patterns: tuple[str, ...], home: str | None = None) -> PathSet:
    """An allowed list, compiled. `~` is the home given, else the kernel's.

    @raise InvalidRequest: a pattern makes no sense.
    """
    compiled = []
    for pattern in patterns:
        for expanded in expand_home(pattern, [home or kernel_home()]):
            sequence = tokens(expanded)
            if is_plain(expanded):
                sequence.append(LOOP)
            compiled.append((pattern, sequence))
    return PathSet(compiled)


@functools.lru_cache(maxsize=128)
def blocked_set(patterns: tuple[str, ...], home: str | None = None) -> PathSet:
    """A blocked list, compiled. `~` is every home there may be.

    @raise InvalidRequest: a pattern makes no sense.
    """
    homes = dict.fromkeys([home or kernel_home(), kernel_home(), *HOMES])
    return PathSet(
        [
            (pattern, tokens(expanded))
            for pattern in patterns
            for expanded in expand_home(pattern, homes)
        ]
    )


def within(pattern: str, patterns: tuple[str, ...]) -> bool:
    """Surely every path that the pattern allows is allowed by one of the patterns."""
    mine = allowed_set((pattern,))
    return not patterns or any(allowed_set((theirs,)).contains(mine) for theirs in patterns)


def check_read(permissions: Permissions, path: str, home: str | None = None) -> Decision:
    """May this absolute path be read?

    @param home: what `~` means to the agent; None for the kernel's own home.
    @raise InvalidRequest: see L{normalise_path}.
    """
    return _check(permissions, "can_read", "allowed_read_paths", path, home)


def check_write(permissions: Permissions, path: str, home: str | None = None) -> Decision:
    """May this absolute path be written? As L{check_read}."""
    return _check(permissions, "can_write", "allowed_write_paths", path, home)


def _check(
    permissions: Permissions, flag: str, field: str, path: str, home: str | None
) -> Decision:
    decision = check_flag(permissions, flag)
    if not decision.allowed:
        return decision
    if permissions.blocked_paths:
        blocked = blocked_set(permissions.blocked_paths, home).find(path, beneath=True)
        if blocked is not None:
            return Decision(
                False, f"blocked_paths: {blocked}", "blocked paths win over every allowed one"
            )
    allowed: tuple[str, ...] = getattr(permissions, field)
    if not allowed:
        _parts(path)
        return Decision(True, f"level: {permissions.level.value}")
    found = allowed_set(allowed, home).find(path)
    if found is None:
        return Decision(False, field, f"allowed are {', '.join(allowed[:8])}")
    return Decision(True, f"{field}: {found}")
