"""Looking at the host for what a sandbox is to show and what is to vanish in it.

Blocking; it runs in a thread. Paths are reached without following links, here
and again when they are mounted, so what is exchanged meanwhile makes the launch
fail.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from clove.errors import CloveError, InvalidRequest, IsolationUnavailable, NotFound
from clove.kernel.agents.descent import (
    Descent,
    Pattern,
    States,
    allowed_pattern,
    blocked_pattern,
    prefix_of,
)
from clove.kernel.agents.exposure import (
    Cover,
    Exposure,
    Root,
    Wish,
    arrange,
    beneath,
    check_root,
    is_shown,
    outermost,
)
from clove.policy.globs import HOMES, expand_home, kernel_home
from clove.policy.paths import blocked_set
from clove.sandbox import syscalls
from clove.sandbox.faults import fault
from clove.sandbox.layout import with_system
from clove.sandbox.mounts import NO_LINKS
from clove.sandbox.openat2 import BadPath, resolve
from clove.sandbox.spec import SandboxSpec

__all__ = ["Keepsakes", "Survey", "expose"]

PSEUDO = frozenset(
    (
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "mqueue",
        "nfsd",
        "proc",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    )
)
"""File systems that show the machine, not files: never shown, wherever they are mounted."""
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepsakes:
    """What the kernel keeps from every sandbox.

    @ivar secret: places that vanish: its state directory.
    @ivar fixed: places that stay read-only: its own code and interpreter.
    @ivar blank_directory, blank_file: empty ones, to mount over what vanishes.
    """

    secret: tuple[str, ...]
    fixed: tuple[str, ...]
    blank_directory: str
    blank_file: str


@dataclass(slots=True)
class _Room:
    """What may still be mounted and looked at.

    @raise IsolationUnavailable: from L{mount} and L{look}, when there is no more.
    """

    mounts: int
    entries: int
    found: int = field(default=0)

    def mount(self, what: str) -> None:
        self.found += 1
        if self.found > self.mounts:
            raise IsolationUnavailable(
                f"{what} needs more than {self.mounts} mounts",
                hint="grant or block whole directories, or raise limits.agents.exposed_mounts",
            )

    def look(self, what: str) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise IsolationUnavailable(
                f"{what} has too many files to look for all that a pattern covers",
                hint="use patterns with fewer wildcards, grant narrower paths, or raise "
                "limits.agents.exposed_entries",
            )


def expose(
    wished: Wish, spec: SandboxSpec, keepsakes: Keepsakes, *, mounts: int, entries: int
) -> Exposure:
    """What to mount for a wish, as the host is now.

    @param spec: the sandbox without it.
    @param mounts, entries: limits, of mounts and of directory entries looked at.
    @raise InvalidRequest: a granted path is missing, a link, or not to be shown.
    @raise IsolationUnavailable: what is blocked cannot be covered, or a limit is reached.
    @raise PermissionDenied: the operating system does not let the kernel in.
    """
    survey = Survey(wished, with_system(spec), keepsakes, _Room(mounts, entries))
    for pattern in wished.write:
        survey.add(pattern, writable=True)
    for pattern in wished.read:
        survey.add(pattern, writable=False)
    survey.cover()
    exposure = survey.exposure()
    if len(exposure.binds) > mounts:
        raise IsolationUnavailable(
            f"the paths granted and blocked need {len(exposure.binds)} mounts; {mounts} are the "
            "most",
            hint="grant or block whole directories, or raise limits.agents.exposed_mounts",
        )
    return exposure


class Survey:
    """One look at the host for one launch."""

    def __init__(self, wished: Wish, spec: SandboxSpec, keepsakes: Keepsakes, room: _Room) -> None:
        self._spec = spec
        self._keepsakes = keepsakes
        self._room = room
        self._blocked_texts = wished.blocked
        self._pseudo = _pseudo_mounts()
        self._roots: list[Root] = []
        self._covers: list[Cover] = []
        self._unguarded: list[str] = []

    # what is shown

    def add(self, pattern: str, *, writable: bool) -> None:
        """Find what one allowed pattern shows.

        @raise CloveError: see L{expose}.
        """
        prefix = prefix_of(pattern)
        if is_shown(prefix, self._spec) or self._blocked(prefix):
            return
        check_root(prefix, self._spec)
        kind = _real_kind(prefix, pattern)
        if beneath(prefix, [*self._keepsakes.secret, *self._pseudo]):
            raise InvalidRequest(f"{prefix} is the kernel's or the machine's and shown to nobody")
        if writable and beneath(prefix, self._keepsakes.fixed):
            raise InvalidRequest(
                f"{prefix} belongs to the program of the kernel and stays read-only",
                hint="grant it for reading alone",
            )
        descent = Descent([allowed_pattern(pattern)])
        states = descent.walk(descent.start(), prefix)
        for path, is_directory in self._matches(descent, states, prefix, kind == "directory"):
            self._room.mount(f"allowed path {pattern!r}")
            self._roots.append(Root(path, writable, is_directory))

    def _matches(
        self, descent: Descent, states: States, path: str, is_directory: bool
    ) -> Iterator[tuple[str, bool]]:
        """The outermost paths that match whole, and the files that match by themselves."""
        todo = [(path, states, is_directory)]
        while todo:
            path, states, is_directory = todo.pop()
            if self._blocked(path) or is_shown(path, self._spec):
                continue
            if descent.covers_all(states):
                yield path, is_directory
            elif not is_directory:
                if descent.matched(states, directory=False):
                    yield path, False
            else:
                for name, kind in self._entries(path):
                    moved = descent.step(states, name)
                    if moved and kind in ("directory", "file"):
                        todo.append((f"{path}/{name}", moved, kind == "directory"))

    def _blocked(self, path: str) -> bool:
        return blocked_set(self._blocked_texts).find(path, beneath=True) is not None

    # what vanishes

    def cover(self) -> None:
        """Find what is to vanish in the roots.

        @raise IsolationUnavailable: see L{expose}.
        """
        roots = [root for root in outermost(self._roots) if root.directory]
        tops = [root.path for root in roots if not _inside(root.path, roots)]
        writable = [root.path for root in roots if root.writable]
        for path in (*self._pseudo, *_sockets(), *self._keepsakes.secret):
            if beneath(path, tops) and (kind := _look_up(path)) is not None:
                self._hide(path, kind == "directory")
        descent = Descent(_blocked_patterns(self._blocked_texts))
        for top in tops:
            states = descent.walk(descent.start(), top)
            if descent.matched(states, directory=True):  # all that is in it
                self._hide(top, True)
                continue
            literal, wild = descent.remains(states)
            for pattern, rest in literal:
                self._cover_named(f"{top.rstrip('/')}/{rest}", pattern, writable)
            if wild:
                self._cover_matches(descent, wild, top)

    def _hide(self, path: str, is_directory: bool) -> None:
        self._room.mount(f"what is blocked in {path}")
        self._covers.append(Cover(path, is_directory))

    def _cover_named(self, path: str, pattern: Pattern, writable: list[str]) -> None:
        """Cover a path without wildcards; where it may be made, it must be there to be covered.

        @raise IsolationUnavailable: it is not.
        """
        kind = _look_up(path)
        if kind == "directory" or (kind is not None and not pattern.directory):
            self._hide(path, kind == "directory")
        elif kind is None and beneath(path, writable):
            raise IsolationUnavailable(
                f"{path} is blocked but not there (or reached by a link), in a directory that the "
                "agent may write: nothing could keep it from making it",
                hint="make an empty file or directory of that name, or grant a narrower path for "
                "writing",
            )
        else:
            self._unguarded.append(pattern.text)

    def _cover_matches(self, descent: Descent, states: States, top: str) -> None:
        self._unguarded += descent.texts(states)
        todo = [(top, states)]
        while todo:
            path, states = todo.pop()
            for name, kind in self._entries(path):
                there = f"{path.rstrip('/')}/{name}"
                moved = descent.step(states, name)
                if not moved or kind == "link" or is_shown(there, self._spec):
                    continue
                if descent.matched(moved, directory=kind == "directory"):
                    self._hide(there, kind == "directory")
                elif kind == "directory":
                    todo.append((there, moved))

    def _entries(self, directory: str) -> list[tuple[str, str]]:
        """Names in a directory, and what each is; nothing where the kernel may not look."""
        found = []
        try:
            descriptor = syscalls.openat2(
                syscalls.AT_FDCWD, directory, os.O_RDONLY | os.O_DIRECTORY, NO_LINKS
            )
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return []  # it has gone meanwhile
            raise IsolationUnavailable(
                f"{directory} cannot be searched for blocked paths: {error.strerror}",
                hint="grant a narrower path",
            ) from None
        try:
            with os.scandir(descriptor) as listing:
                for entry in listing:
                    self._room.look(directory)
                    found.append((entry.name, _entry_kind(entry)))
        finally:
            os.close(descriptor)
        return found

    # what comes of it

    def exposure(self) -> Exposure:
        """The mounts for what was found."""
        keepsakes = self._keepsakes
        same = [bind.target for bind in self._spec.binds if bind.source == bind.target]
        return arrange(
            self._roots,
            self._covers,
            kept=dict.fromkeys([*keepsakes.fixed, *same]),
            unguarded=self._unguarded,
            blank_directory=keepsakes.blank_directory,
            blank_file=keepsakes.blank_file,
        )


def _inside(path: str, roots: Iterable[Root]) -> bool:
    return any(root.path != path and beneath(path, [root.path]) for root in roots)


def _blocked_patterns(texts: Iterable[str]) -> list[Pattern]:
    homes = list(dict.fromkeys([kernel_home(), *HOMES]))
    return [
        blocked_pattern(text, expanded) for text in texts for expanded in expand_home(text, homes)
    ]


def _real_kind(path: str, pattern: str) -> str:
    """What is at a granted path, reached by no link.

    @raise InvalidRequest: nothing, a link, or neither file nor directory.
    @raise CloveError: the operating system refuses to look.
    """
    try:
        held = resolve(path, "/")
    except (OSError, BadPath) as error:
        refusal: CloveError = fault(error, path)
        if not isinstance(refusal, NotFound):
            raise refusal from None
        held = None
    if held is not None:
        held.close()
    if held is None or (held.kind == "missing" and held.path == path):
        raise InvalidRequest(
            f"{path} is not there, so {pattern!r} cannot be granted to a sandboxed agent",
            hint="make it first, or grant the directory that it is to be in",
        )
    if held.path != path:
        raise InvalidRequest(
            f"{path} leads to {held.path} by a link; permissions speak of real paths",
            hint=f"grant {held.path}",
        )
    if held.kind not in ("file", "directory"):
        raise InvalidRequest(f"{path} is a {held.kind}: only files and directories are granted")
    return held.kind


def _look_up(path: str) -> str | None:
    """`directory` or `file` (whatever else there is) at a path without links; None if nothing."""
    try:
        place = syscalls.openat2(syscalls.AT_FDCWD, path, os.O_PATH, NO_LINKS)
    except OSError:
        return None
    try:
        return "directory" if stat.S_ISDIR(os.fstat(place).st_mode) else "file"
    finally:
        os.close(place)


def _entry_kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _pseudo_mounts() -> list[str]:
    """Where file systems that show the machine are mounted (proc_pid_mountinfo(5))."""
    found = []
    with open("/proc/self/mountinfo", errors="surrogateescape") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            if rest.split(" ", 1)[0] in PSEUDO:
                place = fields.split(" ")[4]
                found.append(_OCTAL.sub(lambda match: chr(int(match[1], 8)), place))
    return found


def _sockets() -> list[str]:
    """Paths of the Unix sockets that are bound now (proc_pid_net(5)); mounts do not stop connect.

    Those that were bound by a relative path, or in another network namespace,
    are not known here.
    """
    found = []
    with open("/proc/net/unix", errors="surrogateescape") as lines:
        next(lines, None)
        for line in lines:
            fields = line.rstrip("\n").split(None, 7)
            if len(fields) == 8 and fields[7].startswith("/"):
                found.append(os.path.normpath(fields[7]))
    return list(dict.fromkeys(found))
