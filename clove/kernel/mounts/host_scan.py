"""Looking at the host for what a sandbox is to show and what is to vanish in it.

Blocking; it runs in a thread. Paths are reached without following links, here and again when
they are mounted, so what is exchanged meanwhile makes the launch fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from clove.errors import InvalidRequest, IsolationUnavailable, PermissionDenied
from clove.kernel.mounts.host_files import (
    bound_sockets,
    links_on,
    look_up,
    pseudo_mounts,
    real_kind,
)
from clove.kernel.mounts.mount_plan import (
    MaskedPath,
    MountPlan,
    Root,
    arrange_mounts,
    check_root,
    is_shown,
    outermost,
)
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.mounts.owners import OwnedRoots, Owners
from clove.kernel.mounts.paths import NEVER, beneath
from clove.kernel.mounts.pattern_walk import (
    Pattern,
    PatternWalk,
    States,
    allowed_pattern,
    blocked_patterns,
    prefix_of,
)
from clove.kernel.mounts.program_scan import scan_programs
from clove.kernel.mounts.scan_bounds import ProtectedPaths, ScanBudget, list_entries
from clove.policy.paths import blocked_set
from clove.sandbox.layout import with_system
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["HostScan", "scan_host"]


def scan_host(
    request: MountRequest,
    spec: SandboxSpec,
    protected: ProtectedPaths,
    *,
    mounts: int,
    entries: int,
    parts: tuple[Bind, ...] = (),
    real: str = "",
    owners: Owners | None = None,
) -> MountPlan:
    """What to mount for a request, as the host is now.

    @param spec: the sandbox without these mounts.
    @param parts: what else it will have of the host, by rules that are those of granted paths.
    @param real: the real path of its interpreter; by default what the spec runs.
    @param owners: finds whose files what is granted has; None: they stay what they are.
    @param mounts: limit of mounts.
    @param entries: limit of directory entries looked at.
    @raise InvalidRequest: a granted path is missing, a link, or not to be shown.
    @raise IsolationUnavailable: what is blocked cannot be covered, or a limit is reached.
    @raise PermissionDenied: the operating system does not let the kernel in.
    """
    scan = HostScan(request, with_system(spec), protected, ScanBudget(mounts, entries))
    for part in parts:
        scan.admit_part(part)
    scan.add_granted(request)
    scan.mask_blocked()
    plan = scan.make_plan(owners)
    if len(plan.binds) > mounts:
        raise IsolationUnavailable(
            f"the paths granted and blocked need {len(plan.binds)} mounts; {mounts} are the most",
            hint="grant or block whole directories, or raise limits.agents.exposed_mounts",
        )
    whole = with_system(plan.apply(replace(spec, binds=(*spec.binds, *parts))))
    left = mounts - len(plan.binds)
    exec_policy = scan_programs(
        request.programs, whole, protected.blank_file, mounts=left, interpreter=real
    )
    return replace(plan, exec_policy=exec_policy)


class HostScan:
    """One look at the host for one launch."""

    def __init__(
        self,
        request: MountRequest,
        spec: SandboxSpec,
        protected: ProtectedPaths,
        budget: ScanBudget,
    ) -> None:
        self._spec = spec
        self._masked = [os.path.realpath(path) for path in protected.masked]
        self._read_only = [os.path.realpath(path) for path in protected.read_only]
        self._protected = protected
        self._budget = budget
        self._blocked_texts = request.blocked
        self._pseudo = pseudo_mounts()
        self._roots: list[Root] = []
        self._parts: list[Root] = []
        self._masked_paths: list[MaskedPath] = []
        self._unguarded: list[str] = []

    # what is shown

    def add_granted(self, request: MountRequest) -> None:
        """Find what the patterns of a request show.

        @raise CloveError: see L{scan_host}.
        """
        for kind, patterns in (("write", request.write), ("read", request.read)):
            for pattern in patterns:
                as_owner = (kind, pattern) in request.as_owner
                self.add_allowed(pattern, writable=kind == "write", as_owner=as_owner)

    def add_allowed(self, pattern: str, *, writable: bool, as_owner: bool = False) -> None:
        """Find what one allowed pattern shows.

        @raise CloveError: see L{scan_host}.
        """
        prefix = prefix_of(pattern)
        if is_shown(prefix, self._spec) or self._blocked(prefix):
            return
        check_root(prefix, self._spec)
        kind = real_kind(prefix, pattern)
        if beneath(prefix, [*self._masked, *self._pseudo]):
            raise InvalidRequest(f"{prefix} is the kernel's or the machine's: no agent may see it")
        if writable and beneath(prefix, self._read_only):
            raise InvalidRequest(
                f"{prefix} is a part of the kernel and stays read-only",
                hint="grant it for reading alone",
            )
        walk = PatternWalk([allowed_pattern(pattern)])
        states = walk.descend(walk.start(), prefix)
        for path, is_directory in self._matches(walk, states, prefix, kind == "directory"):
            self._budget.count_mount(f"allowed path {pattern!r}")
            kept = beneath(path, self._read_only)
            self._roots.append(Root(path, writable and not kept, is_directory, as_owner))

    def admit_part(self, part: Bind) -> None:
        """Judge a part of an interpreter; what is blocked in it will be covered.

        @raise CloveError: it is not to be shown.
        """
        path = part.source
        if path != part.target:
            return  # of a workspace, which has nothing of the host's
        if beneath(path, NEVER) or beneath(path, [*self._masked, *self._pseudo]):
            raise InvalidRequest(f"{path} is the kernel's or the machine's: no agent may see it")
        blocked = blocked_set(self._blocked_texts).find(path, beneath=True)
        if blocked is not None:
            raise PermissionDenied(
                f"the agent's interpreter needs {path}", rule=f"blocked_paths: {blocked}"
            )
        self._parts.append(Root(path, False, look_up(path) == "directory"))

    def _matches(
        self, walk: PatternWalk, states: States, path: str, is_directory: bool
    ) -> Iterator[tuple[str, bool]]:
        """The outermost paths that match whole, and the files that match by themselves."""
        todo = [(path, states, is_directory)]
        while todo:
            path, states, is_directory = todo.pop()
            if self._blocked(path) or is_shown(path, self._spec):
                continue
            if walk.covers_all(states):
                yield path, is_directory
            elif not is_directory:
                if walk.matched(states, directory=False):
                    yield path, False
            else:
                for name, kind in list_entries(path, self._budget):
                    moved = walk.step(states, name)
                    if moved and kind in ("directory", "file"):
                        todo.append((f"{path}/{name}", moved, kind == "directory"))

    def _blocked(self, path: str) -> bool:
        return blocked_set(self._blocked_texts).find(path, beneath=True) is not None

    # what vanishes

    def mask_blocked(self) -> None:
        """Find what is to vanish in the roots.

        @raise IsolationUnavailable: see L{scan_host}.
        """
        shown = [*self._roots, *self._parts]
        roots = [root for root in outermost(shown) if root.directory]
        tops = [root.path for root in roots if not _inside(root.path, roots)]
        writable = [root.path for root in roots if root.writable]
        for path in (*self._pseudo, *bound_sockets(), *self._masked):
            if beneath(path, tops) and (kind := look_up(path)) is not None:
                self._mask(path, kind == "directory")
        self._check_read_only(writable)
        walk = PatternWalk(blocked_patterns(self._blocked_texts))
        for top in tops:
            states = walk.descend(walk.start(), top)
            if walk.matched(states, directory=True):  # all that is in it
                self._mask(top, True)
                continue
            literal, wild = walk.remains(states)
            for pattern, rest in literal:
                self._mask_named(f"{top.rstrip('/')}/{rest}", pattern, writable)
            if wild:
                self._mask_matches(walk, wild, top)

    def _check_read_only(self, writable: list[str]) -> None:
        """What stays read-only must be there to be mounted, and by no link that can be changed.

        @raise IsolationUnavailable: it is not.
        """
        for path in self._protected.read_only:
            for link in links_on(path):
                if beneath(link, writable):
                    raise IsolationUnavailable(
                        f"{link} is a link, by which the kernel finds {path}, in a directory that "
                        "the agent may write: nothing could keep it from changing the link",
                        hint="start the kernel with the real path, or grant a narrower path",
                    )
        for path in self._read_only:
            if beneath(path, writable) and look_up(path) is None:
                raise IsolationUnavailable(
                    f"{path} is the kernel's, but not there, in a directory that the agent may "
                    "write: nothing could keep it from making it",
                    hint="put it back, or grant a narrower path for writing",
                )

    def _mask(self, path: str, is_directory: bool) -> None:
        self._budget.count_mount(f"what is blocked in {path}")
        self._masked_paths.append(MaskedPath(path, is_directory))

    def _mask_named(self, path: str, pattern: Pattern, writable: list[str]) -> None:
        """MaskedPath a path without wildcards; where it may be made, it must be there to be covered.

        @raise IsolationUnavailable: it is not.
        """
        kind = look_up(path)
        if kind == "directory" or (kind is not None and not pattern.directory):
            self._mask(path, kind == "directory")
        elif kind is None and beneath(path, writable):
            raise IsolationUnavailable(
                f"{path} is blocked but not there (or reached by a link), in a directory that the "
                "agent may write: nothing could keep it from making it",
                hint="make an empty file or directory of that name, or grant a narrower path for "
                "writing",
            )
        else:
            self._unguarded.append(pattern.text)

    def _mask_matches(self, walk: PatternWalk, states: States, top: str) -> None:
        self._unguarded += walk.texts(states)
        todo = [(top, states)]
        while todo:
            path, states = todo.pop()
            for name, kind in list_entries(path, self._budget):
                there = f"{path.rstrip('/')}/{name}"
                moved = walk.step(states, name)
                if not moved or kind == "link" or is_shown(there, self._spec):
                    continue
                if walk.matched(moved, directory=kind == "directory"):
                    self._mask(there, kind == "directory")
                elif kind == "directory":
                    todo.append((there, moved))

    # what comes of it

    def make_plan(self, owners: Owners | None = None) -> MountPlan:
        """The mounts for what was found."""
        protected = self._protected
        owned = OwnedRoots(tuple(self._roots))
        if owners is not None:
            owned = owners.assign(self._roots, [masked.path for masked in self._masked_paths])
        same = [bind.target for bind in self._spec.binds if bind.source == bind.target]
        plan = arrange_mounts(
            owned.roots,
            self._masked_paths,
            read_only=dict.fromkeys(
                [*self._read_only, *same, *(root.path for root in self._parts)]
            ),
            guarded=owned.read_only,
            unguarded=self._unguarded,
            blank_directory=protected.blank_directory,
            blank_file=protected.blank_file,
        )
        return replace(plan, mapped=owned.mapped, kept=owned.kept)


def _inside(path: str, roots: Iterable[Root]) -> bool:
    return any(root.path != path and beneath(path, [root.path]) for root in roots)
