"""Which paths of the host a sandbox is to show, and how mounts come of them. Pure.

A path that an agent may read or write is of no use to it when its private root
has no such path. So the paths that somebody who sees the host's files has
granted by name are mounted, and what is blocked beneath them is covered.
`docs/agreement.md` says where mounts and the checks of syscalls part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from clove.errors import InvalidRequest, LimitExceeded
from clove.kernel.agents.descent import prefix_of
from clove.kernel.agents.guard import Guard, printable
from clove.policy import EVERY_PROGRAM, Permissions, Programs, Work, programs_of
from clove.policy.paths import within
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = [
    "NEVER",
    "NOTHING",
    "OWN",
    "Cover",
    "Exposure",
    "Grants",
    "Root",
    "Wish",
    "arrange",
    "beneath",
    "check_root",
    "grants_of",
    "is_shown",
    "outermost",
    "wish",
]

OWN: Final = ("/workspace", "/app", "/opt/clove", "/usr", "/proc", "/dev")
"""What each sandbox has of its own or of the system's, with all beneath: not the host's to show."""
OWN_ALONE: Final = ("/", "/tmp", "/etc")  # noqa: S108
"""The same, but what is beneath them on the host can be shown."""
NEVER: Final = ("/sys", "/run")
"""The machine and its services: shown to no sandbox."""


class Grants(NamedTuple):
    """Patterns of paths on the host that were granted by name, by one who sees the host's files."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


NOTHING: Final = Grants()


class Wish(NamedTuple):
    """What a sandbox is to show, as patterns, and what of its programs can be executed.

    @ivar blocked: what stays covered beneath; empty when nothing is shown.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    programs: Programs = EVERY_PROGRAM


def grants_of(named: Iterable[str], wanted: Permissions, earlier: Grants = NOTHING) -> Grants:
    """The grants that a request makes.

    @param named: the fields of permissions that it sets by itself.
    @param wanted: the permissions that it asks for.
    @param earlier: what holds where it names nothing.
    """
    fields = frozenset(named)
    return Grants(
        wanted.allowed_read_paths if "allowed_read_paths" in fields else earlier.read,
        wanted.allowed_write_paths if "allowed_write_paths" in fields else earlier.write,
    )


def wish(permissions: Permissions, grants: Grants, work: Work | None = None) -> Wish:
    """What of the grants the permissions still allow, without what is the sandbox's own.

    @param work: what bounds this, if more than this belongs to it; what is beyond is not granted.
    """
    programs = programs_of(permissions)
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    if permissions.can_read:
        read = _granted(permissions.allowed_read_paths, grants.read, work)
    if permissions.can_write:
        write = _granted(permissions.allowed_write_paths, grants.write, work)
    if not (read or write):
        return Wish(programs=programs)
    return Wish(read, write, permissions.blocked_paths, programs)


def _granted(
    allowed: tuple[str, ...], granted: tuple[str, ...], work: Work | None
) -> tuple[str, ...]:
    if not granted:
        return ()
    try:
        inside = within(allowed, granted, work)
    except LimitExceeded:
        return ()  # more than can be compared is not granted
    return tuple(pattern for pattern in inside if not _is_own(prefix_of(pattern)))


def _is_own(path: str) -> bool:
    return path in OWN_ALONE or beneath(path, OWN)


def beneath(path: str, places: Iterable[str]) -> bool:
    """Is the path one of the places, or in one?"""
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)


def is_shown(path: str, spec: SandboxSpec) -> bool:
    """Has a sandbox this path without any grant?

    @param spec: with the parts of the system.
    """
    places = [bind.target for bind in spec.binds]
    tmpfs = [one for one in spec.tmpfs if one not in OWN_ALONE]
    return _is_own(path) or beneath(path, [*places, *tmpfs, *spec.links, *spec.files])


def check_root(path: str, spec: SandboxSpec) -> None:
    """Refuse to show what no sandbox is shown, or what would hide the sandbox's own.

    @param spec: with the parts of the system.
    @raise InvalidRequest: it is one or the other.
    """
    if beneath(path, NEVER):
        raise InvalidRequest(
            f"{path} cannot be granted to a sandboxed agent: it belongs to the machine",
            hint="copy what the agent needs to a directory of its own",
        )
    own = [bind.target for bind in spec.binds if bind.source != bind.target]
    for place in sorted([*own, *spec.tmpfs, *spec.links, *spec.files, "/proc", "/dev"]):
        if beneath(place, [path]):
            raise InvalidRequest(
                f"{path} cannot be granted as a whole to a sandboxed agent, whose {place} is its "
                "own",
                hint=f"name the directories in {path} that it needs",
            )


@dataclass(frozen=True, slots=True)
class Root:
    """A file, or a directory with all in it, that is mounted at its own path."""

    path: str
    writable: bool = False
    directory: bool = True


@dataclass(frozen=True, slots=True)
class Cover:
    """A path beneath a mounted one that is to vanish."""

    path: str
    directory: bool


def outermost(roots: Iterable[Root]) -> list[Root]:
    """The roots that are needed: none within another that gives as much, outer ones first."""
    kept: list[Root] = []
    wholes: dict[bool, set[str]] = {True: set(), False: set()}
    for root in sorted(set(roots), key=lambda one: (_depth(one.path), one.path, not one.writable)):
        above = set(_above(root.path)) | {root.path}
        if wholes[True] & above or (not root.writable and wholes[False] & above):
            continue
        kept.append(root)
        wholes[root.writable].add(root.path)
    return kept


def _depth(path: str) -> int:
    return len([part for part in path.split("/") if part])


def _above(path: str) -> list[str]:
    """The directories that a path is in, the root directory left out."""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is mounted for an agent.

    @ivar binds: mounts at the same path as on the host, outer ones first.
    @ivar read, write: the paths that are shown.
    @ivar unguarded: blocked patterns that, beneath these paths, are covered as far
        as they matched when the agent started; a name that comes up later is
        blocked for syscalls alone.
    @ivar guard: what keeps programs from being executed.
    """

    binds: tuple[Bind, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    unguarded: tuple[str, ...] = ()
    guard: Guard = field(default_factory=Guard)

    def apply(self, spec: SandboxSpec) -> SandboxSpec:
        """The spec with these mounts among those that have the same path on both sides."""
        return self.guard.apply(self._mounted(spec))

    def _mounted(self, spec: SandboxSpec) -> SandboxSpec:
        if not self.binds:
            return spec
        same = [bind for bind in spec.binds if bind.source == bind.target]
        rest = [bind for bind in spec.binds if bind.source != bind.target]
        ordered = sorted([*self.binds, *same], key=lambda bind: _depth(bind.target))
        return replace(spec, binds=(*ordered, *rest))

    def report(self, wished: Wish, *, landlock: bool) -> dict[str, Any]:
        """What it adds to SPAWN's `isolation`: `exposed` and `commands`, where there are any.

        @param wished: what was to be shown.
        @param landlock: it holds in this sandbox.
        """
        found: dict[str, Any] = {}
        if wished.read or wished.write:
            found["exposed"] = self.to_wire()
        if wished.programs != EVERY_PROGRAM:
            found["commands"] = self.guard.to_wire(landlock=landlock)
        return found

    def to_wire(self) -> dict[str, Any]:
        """The `exposed` object of SPAWN's `isolation`."""
        return {
            "read": [printable(path) for path in self.read],
            "write": [printable(path) for path in self.write],
            "unguarded": list(self.unguarded),
        }


def arrange(
    roots: Iterable[Root],
    covers: Iterable[Cover],
    *,
    kept: Iterable[str],
    unguarded: Iterable[str],
    blank_directory: str,
    blank_file: str,
) -> Exposure:
    """Mounts for what is to be seen and what is not.

    A covered path in a writable directory could be moved out of the way with
    the directory that it is in, and something else be put there. A mount point
    cannot be moved, so each directory above it is made one.

    @param kept: directories that stay read-only within writable roots.
    @param blank_directory: of the host, to mount over what is covered.
    @param blank_file: likewise.
    """
    shown = outermost(roots)
    binds = {root.path: Bind(root.path, root.path, writable=root.writable) for root in shown}
    covered: dict[str, Bind] = {}
    for cover in sorted(set(covers), key=lambda one: _depth(one.path)):
        if not covered.keys() & set(_above(cover.path)):
            blank = blank_directory if cover.directory else blank_file
            covered[cover.path] = Bind(blank, cover.path)
    writable = {root.path for root in shown if root.writable}
    for path in kept:
        if writable & set(_above(path)) and path not in covered:
            covered.setdefault(path, Bind(path, path))
    for path in covered:
        above = _above(path)
        outer = next((place for place in reversed(above) if place in binds), None)
        if outer in writable:
            for place in above[above.index(outer) + 1 :]:
                binds[place] = Bind(place, place, writable=True)
                writable.add(place)
    ordered = sorted({**binds, **covered}.values(), key=lambda bind: _depth(bind.target))
    return Exposure(
        binds=tuple(ordered),
        read=tuple(root.path for root in shown if not root.writable),
        write=tuple(root.path for root in shown if root.writable),
        unguarded=tuple(dict.fromkeys(unguarded)),
    )
