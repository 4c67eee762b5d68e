"""Looking at the host for what a sandbox is to show and what is to vanish in it.

Blocking; it runs in a thread. Paths are reached without following links, here and again when
they are mounted, so what is exchanged meanwhile makes the launch fail.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from clove.errors import IsolationUnavailable
from clove.kernel.mounts.granted_roots import GrantedRoots
from clove.kernel.mounts.host_files import (
    bound_sockets,
    links_on,
    look_up,
)
from clove.kernel.mounts.mount_plan import (
    MaskedPath,
    MountPlan,
    Root,
    arrange_mounts,
    is_shown,
    outermost,
)
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.mounts.owners import OwnedRoots, Owners
from clove.kernel.mounts.paths import beneath
from clove.kernel.mounts.pattern_walk import (
    Pattern,
    PatternWalk,
    States,
    blocked_patterns,
)
from clove.kernel.mounts.program_scan import scan_programs
from clove.kernel.mounts.scan_bounds import ProtectedPaths, ScanBudget, list_entries
from clove.sandbox.layout import with_system
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["scan_host"]


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
    budget, system = ScanBudget(mounts, entries), with_system(spec)
    shown = GrantedRoots(request.blocked, system, protected, budget)
    shown.find(request, parts)
    scan = HostScan(shown, system, protected, budget)
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
    """What of the host vanishes in a sandbox, and the mounts that come of it.

    @param shown: what the sandbox shows.
    """

    def __init__(
        self,
        shown: GrantedRoots,
        spec: SandboxSpec,
        protected: ProtectedPaths,
        budget: ScanBudget,
    ) -> None:
        self._shown = shown
        self._spec = spec
        self._protected = protected
        self._budget = budget
        self._masked_paths: list[MaskedPath] = []
        self._unguarded = list(shown.unguarded)

    def mask_blocked(self) -> None:
        """Find what is to vanish in the roots.

        @raise IsolationUnavailable: see L{scan_host}.
        """
        shown = [*self._shown.roots, *self._shown.parts]
        roots = [root for root in outermost(shown) if root.directory]
        tops = [root.path for root in roots if not _inside(root.path, roots)]
        writable = [root.path for root in roots if root.writable]
        for path in (*self._shown.pseudo, *bound_sockets(), *self._shown.masked):
            if beneath(path, tops) and (kind := look_up(path)) is not None:
                self._mask(path, kind == "directory")
        self._check_read_only(writable)
        walk = PatternWalk(blocked_patterns(self._shown.blocked))
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
        for path in self._shown.read_only:
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

    def make_plan(self, owners: Owners | None = None) -> MountPlan:
        """The mounts for what was found."""
        protected = self._protected
        owned = OwnedRoots(tuple(self._shown.roots))
        if owners is not None:
            owned = owners.assign(self._shown.roots, [masked.path for masked in self._masked_paths])
        same = [bind.target for bind in self._spec.binds if bind.source == bind.target]
        plan = arrange_mounts(
            owned.roots,
            self._masked_paths,
            read_only=dict.fromkeys(
                [*self._shown.read_only, *same, *(root.path for root in self._shown.parts)]
            ),
            guarded=[*owned.read_only, *self._shown.read_only_parts],
            unguarded=self._unguarded,
            blank_directory=protected.blank_directory,
            blank_file=protected.blank_file,
        )
        return replace(plan, mapped=owned.mapped, kept=owned.kept)


def _inside(path: str, roots: Iterable[Root]) -> bool:
    return any(root.path != path and beneath(path, [root.path]) for root in roots)
