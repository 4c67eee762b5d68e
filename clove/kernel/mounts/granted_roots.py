"""What of the host a sandbox shows: the paths that its patterns name, and what belongs to them.

Blocking; it runs in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.mounts.host_files import look_up, pseudo_mounts, real_kind
from clove.kernel.mounts.mount_plan import Root, check_root, is_shown, outermost
from clove.kernel.mounts.mount_request import MountRequest
from clove.kernel.mounts.paths import NEVER, beneath
from clove.kernel.mounts.pattern_walk import PatternWalk, States, allowed_pattern, prefix_of
from clove.kernel.mounts.repositories import find_repository
from clove.kernel.mounts.scan_bounds import ProtectedPaths, ScanBudget, list_entries
from clove.policy.paths import blocked_set
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["GrantedRoots"]


class GrantedRoots:
    """What one sandbox shows.

    @param blocked: patterns of what it does not.
    @param spec: the sandbox without it, with the parts of the system.
    @ivar roots: what was granted, and what repositories among it need.
    @ivar parts: of its interpreter.
    @ivar read_only_parts: what in the roots stays read-only.
    @ivar unguarded: what in them should, but cannot.
    @ivar masked, read_only: real paths of the kernel's own.
    @ivar pseudo: file systems that show the machine.
    """

    def __init__(
        self,
        blocked: tuple[str, ...],
        spec: SandboxSpec,
        protected: ProtectedPaths,
        budget: ScanBudget,
    ) -> None:
        self.blocked = blocked
        self.masked = [os.path.realpath(path) for path in protected.masked]
        self.read_only = [os.path.realpath(path) for path in protected.read_only]
        self.pseudo = pseudo_mounts()
        self.roots: list[Root] = []
        self.parts: list[Root] = []
        self.read_only_parts: list[str] = []
        self.unguarded: list[str] = []
        self._spec = spec
        self._budget = budget

    def find(self, request: MountRequest, parts: Iterable[Bind]) -> None:
        """Find what the patterns of a request show.

        @param parts: of the interpreter.
        @raise CloveError: see L{clove.kernel.mounts.host_scan.scan_host}.
        """
        for part in parts:
            self._admit_part(part)
        for kind, patterns in (("write", request.write), ("read", request.read)):
            for pattern in patterns:
                as_owner = (kind, pattern) in request.as_owner
                self._add_allowed(pattern, writable=kind == "write", as_owner=as_owner)
        self._add_repositories([prefix_of(pattern) for pattern in request.write])

    def _add_repositories(self, named: list[str]) -> None:
        """Find what repositories need beside them, and what in them stays read-only."""
        granted = list(self.roots)
        for root in outermost(granted):
            repository = find_repository(root, named, self._budget)
            if repository is None:
                continue
            self.read_only_parts += repository.read_only
            self.unguarded += repository.unguarded
            for more in repository.roots:
                known = beneath(more.path, [one.path for one in granted])
                if not known and self._may_show(more.path):
                    self.roots.append(more)

    def _may_show(self, path: str) -> bool:
        """Could it have been granted?"""
        if self._blocked(path) or beneath(path, [*self.masked, *self.pseudo, *self.read_only]):
            return False
        try:
            check_root(path, self._spec)
        except InvalidRequest:
            return False
        return not is_shown(path, self._spec)

    def _add_allowed(self, pattern: str, *, writable: bool, as_owner: bool = False) -> None:
        """Find what one allowed pattern shows.

        @raise CloveError: see L{clove.kernel.mounts.host_scan.scan_host}.
        """
        prefix = prefix_of(pattern)
        if is_shown(prefix, self._spec) or self._blocked(prefix):
            return
        check_root(prefix, self._spec)
        kind = real_kind(prefix, pattern)
        if beneath(prefix, [*self.masked, *self.pseudo]):
            raise InvalidRequest(f"{prefix} is the kernel's or the machine's: no agent may see it")
        if writable and beneath(prefix, self.read_only):
            raise InvalidRequest(
                f"{prefix} is a part of the kernel and stays read-only",
                hint="grant it for reading alone",
            )
        walk = PatternWalk([allowed_pattern(pattern)])
        states = walk.descend(walk.start(), prefix)
        for path, is_directory in self._matches(walk, states, prefix, kind == "directory"):
            self._budget.count_mount(f"allowed path {pattern!r}")
            kept = beneath(path, self.read_only)
            self.roots.append(Root(path, writable and not kept, is_directory, as_owner))

    def _admit_part(self, part: Bind) -> None:
        """Judge a part of an interpreter; what is blocked in it will be covered.

        @raise CloveError: it is not to be shown.
        """
        path = part.source
        if path != part.target:
            return  # of a workspace, which has nothing of the host's
        if beneath(path, NEVER) or beneath(path, [*self.masked, *self.pseudo]):
            raise InvalidRequest(f"{path} is the kernel's or the machine's: no agent may see it")
        blocked = blocked_set(self.blocked).find(path, beneath=True)
        if blocked is not None:
            raise PermissionDenied(
                f"the agent's interpreter needs {path}", rule=f"blocked_paths: {blocked}"
            )
        self.parts.append(Root(path, False, look_up(path) == "directory"))

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
        return blocked_set(self.blocked).find(path, beneath=True) is not None
