"""How mounts come of what a sandbox is to show and what is to be masked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from clove.errors import InvalidRequest
from clove.kernel.mounts.exec_policy import ExecPolicy, printable
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.mounts.paths import NEVER, OWN_ALONE, beneath, depth, directories_above, is_own
from clove.policy import EVERY_PROGRAM
from clove.sandbox.spec import Bind, Isolation, Owner, SandboxSpec

UNFILTERED: Final = "without a filter of system calls nothing keeps set-id bits from being set"

__all__ = [
    "MaskedPath",
    "MountPlan",
    "Root",
    "arrange_mounts",
    "check_links",
    "check_root",
    "is_shown",
    "outermost",
]


def is_shown(path: str, spec: SandboxSpec) -> bool:
    """Has a sandbox this path without any grant?

    @param spec: with the parts of the system.
    """
    directories = [bind.target for bind in spec.binds]
    tmpfs = [one for one in spec.tmpfs if one not in OWN_ALONE]
    return is_own(path) or beneath(path, [*directories, *tmpfs, *spec.links, *spec.files])


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


def check_links(spec: SandboxSpec, whole: SandboxSpec) -> None:
    """Refuse links that were asked for where the sandbox has something already.

    @param whole: the same with all that is mounted.
    @raise InvalidRequest: it has.
    """
    for link in spec.links:
        for bind in whole.binds:
            if beneath(bind.target, [link]) or beneath(link, [bind.target]):
                raise InvalidRequest(
                    f"{spec.links[link]} cannot be seen as {link}: the sandbox has {bind.target}",
                    hint="choose another path, such as /srv/NAME",
                )


class Root(msgspec.Struct, frozen=True):
    """A file, or a directory with all in it, that is mounted at its own path.

    @ivar as_owner: it was granted with the rights of its owner, whoever that is.
    @ivar owner: whose files in it are the agent's, if anybody's.
    """

    path: str
    writable: bool = False
    directory: bool = True
    as_owner: bool = False
    owner: Owner | None = None

    def to_bind(self) -> Bind:
        """Its mount."""
        return Bind(self.path, self.path, writable=self.writable, owner=self.owner)


class MaskedPath(msgspec.Struct, frozen=True):
    """A path beneath a mounted one that is to vanish."""

    path: str
    directory: bool


def _outer_first(root: Root) -> tuple[int, str, bool, bool]:
    return depth(root.path), root.path, not root.writable, not root.as_owner


def outermost(roots: Iterable[Root]) -> list[Root]:
    """The roots that are needed: none within another that gives as much, outer ones first."""
    kept: list[Root] = []
    wholes: dict[bool, set[str]] = {True: set(), False: set()}
    for root in sorted(set(roots), key=_outer_first):
        above = set(directories_above(root.path)) | {root.path}
        if wholes[True] & above or (not root.writable and wholes[False] & above):
            continue
        kept.append(root)
        wholes[root.writable].add(root.path)
    return kept


class MountPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is mounted for an agent.

    @ivar binds: mounts at the same path as on the host, outer ones first.
    @ivar read, write: the paths that are shown.
    @ivar unguarded: blocked patterns that, beneath these paths, are covered as far
        as they matched when the agent started; a name that comes up later is
        blocked for syscalls alone.
    @ivar mapped: roots whose owner the agent is, to the owner's user id.
    @ivar kept: roots whose owner it is not, though it was asked for, to the reason.
    @ivar exec_policy: what keeps programs from being executed; None: every one may be.
    """

    binds: tuple[Bind, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    unguarded: tuple[str, ...] = ()
    mapped: Mapping[str, int] = msgspec.field(default_factory=dict)
    kept: Mapping[str, str] = msgspec.field(default_factory=dict)
    exec_policy: ExecPolicy | None = None

    def apply(self, spec: SandboxSpec) -> SandboxSpec:
        """The spec with these mounts among those that have the same path on both sides."""
        mounted, policy = self._mounted(spec), self.exec_policy
        return mounted if policy is None else policy.apply(mounted)

    def _mounted(self, spec: SandboxSpec) -> SandboxSpec:
        if not self.binds:
            return spec
        same = [bind for bind in spec.binds if bind.source == bind.target]
        rest = [bind for bind in spec.binds if bind.source != bind.target]
        ordered = sorted([*self.binds, *same], key=lambda bind: depth(bind.target))
        return replace(spec, binds=(*ordered, *rest))

    def report(self, request: MountRequest, isolation: Isolation) -> dict[str, Any]:
        """What it adds to SPAWN's `isolation`: `exposed`, `owners`, `commands`, if there are any.

        @param request: what was to be shown.
        @param isolation: what holds in this sandbox.
        """
        found: dict[str, Any] = {}
        if request.read or request.write:
            found["exposed"] = self.to_wire()
        if self.mapped or self.kept:
            found["owners"] = self._owners_to_wire(filtered=isolation.seccomp)
        if self.exec_policy is not None and request.programs != EVERY_PROGRAM:
            found["commands"] = self.exec_policy.to_wire(landlock=isolation.landlock)
        return found

    def _owners_to_wire(self, *, filtered: bool) -> dict[str, Any]:
        """The `owners` object of SPAWN's `isolation`."""
        mapped, kept = self.mapped, self.kept
        if not filtered:
            mapped, kept = {}, {**kept, **dict.fromkeys(mapped, UNFILTERED)}
        return {
            "mapped": {printable(path): uid for path, uid in mapped.items()},
            "kept": {printable(path): reason for path, reason in kept.items()},
        }

    def to_wire(self) -> dict[str, Any]:
        """The `exposed` object of SPAWN's `isolation`."""
        return {
            "read": [printable(path) for path in self.read],
            "write": [printable(path) for path in self.write],
            "unguarded": list(self.unguarded),
        }


def arrange_mounts(
    roots: Iterable[Root],
    masked: Iterable[MaskedPath],
    *,
    read_only: Iterable[str],
    guarded: Iterable[str] = (),
    unguarded: Iterable[str],
    blank_directory: str,
    blank_file: str,
) -> MountPlan:
    """Mounts for what is to be seen and what is not.

    A covered path in a writable directory could be moved out of the way with
    the directory that it is in, and something else be put there. A mount point
    cannot be moved, so each directory above it is made one.

    @param read_only: directories that stay read-only within writable roots, with their owners.
    @param guarded: files and directories that do, with the root's owner.
    @param blank_directory: of the host, to mount over what is covered.
    @param blank_file: likewise.
    """
    shown = outermost(roots)
    binds = {root.path: root.to_bind() for root in shown}
    covered = _cover(masked, blank_directory, blank_file)
    covered = {**_read_only(read_only, guarded, binds, covered), **covered}
    for path in covered:
        outer = _outer(path, binds)
        if outer and outer.writable:
            above = directories_above(path)
            for place in above[above.index(outer.target) + 1 :]:
                binds[place] = Bind(place, place, writable=True, owner=_part_of(outer))
    ordered = sorted({**binds, **covered}.values(), key=lambda bind: depth(bind.target))
    return MountPlan(
        binds=tuple(ordered),
        read=tuple(root.path for root in shown if not root.writable),
        write=tuple(root.path for root in shown if root.writable),
        unguarded=tuple(dict.fromkeys(unguarded)),
    )


def _read_only(
    kept: Iterable[str], guarded: Iterable[str], binds: Mapping[str, Bind], covered: Iterable[str]
) -> dict[str, Bind]:
    """Mounts of what stays read-only within writable ones; see L{arrange_mounts}."""
    found: dict[str, Bind] = {}
    for path in guarded:
        outer = _outer(path, binds)
        if outer and outer.writable and not beneath(path, covered):
            found[path] = Bind(path, path, owner=_part_of(outer))
    for path in kept:
        if any(binds[one].writable for one in directories_above(path) if one in binds):
            found[path] = Bind(path, path)
    return found


def _outer(path: str, binds: Mapping[str, Bind]) -> Bind | None:
    """The innermost mount that a path lies in."""
    above = reversed(directories_above(path))
    return next((binds[place] for place in above if place in binds), None)


def _part_of(outer: Bind) -> Owner | None:
    """The owner of what lies in a mount."""
    return None if outer.owner is None else outer.owner._replace(whole=False)


def _cover(masked: Iterable[MaskedPath], directory: str, file: str) -> dict[str, Bind]:
    """Blank mounts by what they cover; beneath one that is covered no other is needed."""
    covered: dict[str, Bind] = {}
    for each in sorted(set(masked), key=lambda one: depth(one.path)):
        if not covered.keys() & set(directories_above(each.path)):
            covered[each.path] = Bind(directory if each.directory else file, each.path)
    return covered
