"""Looking for the programs that command rules name, among those that a sandbox shows.

Blocking; it runs in a thread. What is looked at lies in directories that are
mounted read-only at their own path, so that a program's path on the host is its
path inside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from clove.errors import IsolationUnavailable
from clove.kernel.mounts.binaries import needed_by
from clove.kernel.mounts.exec_policy import ExecPolicy
from clove.kernel.mounts.visible_paths import VisiblePaths, above
from clove.policy import EVERY_PROGRAM, Programs
from clove.policy.command_rules import SYSTEM_DIRECTORIES
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["scan_programs"]

SHELL: Final = "/bin/sh"
"""EXEC gives it the lines that it runs."""
PRIVATE_PROGRAMS: Final = ("/usr/lib", "/usr/libexec", "/lib")
"""Where programs keep those that they alone run, such as git's and the compiler's."""
MAX_CHAIN: Final = 5
"""Interpreters of interpreters that are followed, as in execve(2)."""
MOST_DIRECTORIES: Final = 128
"""Directories that PATH may name."""


class _Found(NamedTuple):
    """A program's file.

    @ivar path: its real path.
    """

    path: str
    identity: tuple[int, int]
    links: int


def scan_programs(
    programs: Programs, spec: SandboxSpec, blank_file: str, *, mounts: int, interpreter: str = ""
) -> ExecPolicy | None:
    """What is to be covered and what stays executable, as the host is now; None: every program may be executed.

    @param spec: the whole sandbox without it.
    @param mounts: limit of masks.
    @param interpreter: its real path inside; by default what the spec runs.
    @raise IsolationUnavailable: more would have to be covered.
    """
    if programs == EVERY_PROGRAM or "mnt" not in spec.namespaces:
        return None
    can_exec = programs.allowed != ()
    scan = _ProgramScan(spec, interpreter or spec.argv[0], can_exec=can_exec)
    return scan.make_policy(programs, blank_file, mounts)


class _ProgramScan:
    """One look at the programs of one sandbox."""

    def __init__(self, spec: SandboxSpec, interpreter: str, *, can_exec: bool) -> None:
        self._spec = spec
        self._can_exec = can_exec
        self._shown = VisiblePaths(spec)
        directories = [
            *spec.env.get("PATH", "").split(":"),
            *sorted(SYSTEM_DIRECTORIES),
            os.path.dirname(spec.argv[0]),
            os.path.dirname(self._shown.resolved(interpreter) or "/"),
        ]
        if len(directories) > MOST_DIRECTORIES:
            raise IsolationUnavailable(
                f"PATH names more than {MOST_DIRECTORIES} directories to look for programs in",
                hint="name fewer in env, or leave PATH out",
            )
        real = dict.fromkeys(
            self._shown.resolved(place) for place in directories if place[:1] == "/"
        )
        self._directories = [place for place in real if place and self._shown.is_fixed(place)]
        self._essential = dict.fromkeys(self._chain(interpreter))
        if can_exec:
            self._essential.update(dict.fromkeys(self._chain(SHELL)))

    def make_policy(self, programs: Programs, blank_file: str, mounts: int) -> ExecPolicy:
        """All of it; see L{scan_programs}."""
        unguarded = dict.fromkeys(programs.worded, "it is about words, not about a program")
        masks = self._masks(programs.blocked, unguarded)
        if len(masks) > mounts:
            raise IsolationUnavailable(
                f"blocked_commands covers {len(masks)} programs; {mounts} are the most",
                hint="block fewer commands, or raise limits.agents.exposed_mounts",
            )
        executables = None
        if programs.allowed is not None:
            executables = self._executables(programs.allowed, masks, unguarded)
        return ExecPolicy(
            masks=tuple(Bind(blank_file, path) for path in sorted(masks)),
            executables=executables,
            limit="allowed_commands" if self._can_exec else "can_exec",
            unguarded=unguarded,
        )

    # what is blocked

    def _masks(self, blocked: Iterable[str], unguarded: dict[str, str]) -> set[str]:
        """Paths to cover; what of the rules is left open goes to `unguarded`."""
        names = frozenset(blocked)
        found = {name: list(self._programs(name)) for name in sorted(names)}
        if not any(found.values()):
            return set()
        aliases = self._aliases()
        covered: dict[str, _Found] = {}
        for name, programs in found.items():
            for program in programs:
                others = aliases.get(program.path, set()) | self._own_name(program.path)
                if program.path in self._essential:
                    unguarded[name] = f"{program.path} is needed to start programs"
                elif others - names:
                    other = min(others - names)
                    unguarded[name] = f"{program.path} is also {other}, which is not blocked"
                else:
                    covered[program.path] = program
        for name, programs in found.items():
            for program in programs:
                same = [one for one in covered.values() if one.identity == program.identity]
                if program.path in covered and program.links > len(same):
                    unguarded[name] = f"{program.path} has other names by hard links"
        return set(covered)

    def _programs(self, name: str) -> Iterator[_Found]:
        """The files that a name means in the directories, each once."""
        seen = set()
        for directory in self._directories:
            path = self._shown.resolved(f"{directory}/{name}")
            if path is None or path in seen or not self._shown.is_fixed(path):
                continue
            seen.add(path)
            try:
                facts = os.stat(path, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(facts.st_mode):
                yield _Found(path, (facts.st_dev, facts.st_ino), facts.st_nlink)

    def _aliases(self) -> dict[str, set[str]]:
        """The names of the links in the directories, by the real path that each leads to."""
        found: dict[str, set[str]] = {}
        for directory in self._directories:
            for name, path in self._shown.links(directory):
                found.setdefault(path, set()).add(name)
        return found

    def _own_name(self, path: str) -> set[str]:
        directory, _, name = path.rpartition("/")
        return {name} if directory in self._directories else set()

    # what is allowed

    def _executables(
        self, allowed: Iterable[str], masks: set[str], unguarded: dict[str, str]
    ) -> tuple[str, ...]:
        found = dict(self._essential)
        if self._can_exec:
            private = dict.fromkeys(map(os.path.realpath, PRIVATE_PROGRAMS))
            found.update((path, None) for path in private if os.path.isdir(path))
        for name in allowed:
            if "/" in name:
                path = os.path.normpath(os.path.join(self._spec.cwd, name))
                place = self._shown.writable_place(path)
                if place is not None:
                    unguarded[name] = f"everything in {place}, which is writable, can be executed"
                    found[place] = None
                else:
                    found.update(dict.fromkeys(self._chain(path)))
            else:
                for program in self._programs(name):
                    if program.path not in masks:
                        found.update(dict.fromkeys(self._chain(program.path)))
        return tuple(sorted(path for path in found if not set(above(path)) & found.keys()))

    def _chain(self, program: str) -> list[str]:
        """The real paths that Linux executes for a program: itself, interpreter, loader."""
        found: list[str] = []
        todo = [program]
        while todo and len(found) < 2 * MAX_CHAIN:
            path = self._shown.resolved(todo.pop())
            if path is None or path in found or not self._shown.is_fixed(path):
                continue
            if not os.path.isfile(path):
                continue
            found.append(path)
            words = needed_by(path)
            todo += words[:1]
            if words and os.path.basename(words[0]) == "env":  # it looks for the next itself
                names = [word for word in " ".join(words[1:]).split() if "=" not in word]
                name = next((word for word in names if not word.startswith("-")), None)
                todo += [one.path for one in self._programs(name)] if name else []
        return found
