"""Git repositories among granted directories: what they need beside them, and what runs programs.

Git runs what hooks and configuration name, as whoever uses the repository next. So within a directory
that is granted for writing they stay read-only, unless a pattern names them. A linked worktree
(git-worktree(1)) is of no use without the repository that it belongs to, which is therefore
shown with it. Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from clove.kernel.mounts.host_files import look_up
from clove.kernel.mounts.mount_plan import Root
from clove.kernel.mounts.paths import beneath
from clove.kernel.mounts.scan_bounds import ScanBudget, list_entries
from clove.regular import read_regular
from clove.sandbox.inside import syscalls
from clove.sandbox.inside.mounts import NO_LINKS

__all__ = ["Repository", "find_repository"]

MOST_BYTES: Final = 1 << 20
"""Bytes of a file of git's that are looked at."""
MOST_SUBMODULES: Final = 16
"""Submodules, and linked worktrees, whose hooks and configuration are made read-only by name."""
MOST_SEARCHED: Final = 128
"""Directories in which submodules are looked for."""


class Repository(msgspec.Struct, frozen=True):
    """What belongs to a granted directory that is one.

    @ivar roots: what else is shown, if that may be.
    @ivar read_only: what stays so in writable directories; it is there.
    @ivar unguarded: what should, but cannot.
    """

    roots: tuple[Root, ...] = ()
    read_only: tuple[str, ...] = ()
    unguarded: tuple[str, ...] = ()


def find_repository(root: Root, named: Iterable[str], budget: ScanBudget) -> Repository | None:
    """The repository that a granted directory is, if it is one.

    @param named: what patterns name for writing.
    @raise IsolationUnavailable: there is too much to look at.
    """
    inside = f"{root.path.rstrip('/')}/.git"
    kind = look_up(inside) if root.directory else None
    if kind == "directory" and _is_git_directory(inside):
        return _guarded(root, inside, (), named, budget)
    if kind == "file":
        common = _common_directory(root.path)
        if common is None:
            return None
        return _guarded(root, common, (inside,), named, budget)
    if root.directory and _is_git_directory(root.path):
        return _guarded(root, root.path, (), named, budget)
    return None


def _is_git_directory(path: str) -> bool:
    """As git itself finds out."""
    kinds = [look_up(f"{path}/{name}") for name in ("HEAD", "objects", "refs")]
    return kinds == ["file", "directory", "directory"]


def _guarded(
    root: Root, common: str, own: tuple[str, ...], named: Iterable[str], budget: ScanBudget
) -> Repository:
    """A repository with its hooks and configuration in `common`.

    @param own: files of the root that stay read-only.
    """
    roots: tuple[Root, ...] = ()
    if root.as_owner and not beneath(common, [root.path]):
        roots = (Root(common, root.writable, True, root.as_owner),)
    if not root.writable:
        return Repository(roots)
    within = [path for path in named if beneath(path, [common, *own]) and path != root.path]
    read_only = list(own)
    unguarded: list[str] = []
    submodules, all_found = _submodules(common, budget)
    for path, directory in _running_programs(common, submodules, budget):
        if not beneath(path, within):
            (read_only if _ensure(path, directory=directory) else unguarded).append(path)
    if not all_found:
        unguarded.append(f"{common}/modules/**")
    if _too_many_worktrees(common):
        unguarded.append(f"{common}/worktrees/**")
    return Repository(roots, tuple(read_only), tuple(unguarded))


def _submodules(common: str, budget: ScanBudget) -> tuple[list[str], bool]:
    """Git directories of submodules, also of submodules of those, and whether these are all.

    An agent may have made them: so it is not depth or breadth that is bounded, but how many there are.
    """
    found: list[str] = []
    todo = [f"{common}/modules"]
    for there in todo:  # which grows meanwhile
        for name in _subdirectories(there, budget):
            path = f"{there}/{name}"
            is_one = _is_git_directory(path)
            if len(todo) >= MOST_SEARCHED or (is_one and len(found) >= MOST_SUBMODULES):
                return found, False
            if is_one:
                found.append(path)
            todo.append(
                f"{path}/modules" if is_one else path
            )  # a submodule's name may have a slash
    return found, True


def _running_programs(
    common: str, submodules: Iterable[str], budget: ScanBudget
) -> Iterator[tuple[str, bool]]:
    """Paths in git directories by which git comes to run programs; true for directories."""
    for there in (common, *submodules):
        yield f"{there}/hooks", True
        yield f"{there}/config", False
        if "worktreeconfig" in _text(f"{there}/config").lower():
            yield f"{there}/config.worktree", False
    for name in _subdirectories(f"{common}/worktrees", budget)[:MOST_SUBMODULES]:
        for file in ("commondir", "config.worktree"):
            if look_up(f"{common}/worktrees/{name}/{file}") == "file":
                yield f"{common}/worktrees/{name}/{file}", False


def _subdirectories(path: str, budget: ScanBudget) -> list[str]:
    if look_up(path) != "directory":
        return []
    return sorted(name for name, kind in list_entries(path, budget) if kind == "directory")


def _too_many_worktrees(common: str) -> bool:
    """Some are left out."""
    with suppress(OSError):
        return len(os.listdir(f"{common}/worktrees")) > MOST_SUBMODULES
    return False


def _common_directory(worktree: str) -> str | None:
    """The git directory that a linked worktree belongs to, if that says so as well.

    What stands in the worktree may be an agent's work, and alone would let it name any directory. So the
    repository must have the worktree among its own, and the same owner.
    """
    link = _text(f"{worktree}/.git")
    if not link.startswith("gitdir: "):
        return None
    own = os.path.normpath(os.path.join(worktree, link.removeprefix("gitdir: ").rstrip("\n")))
    worktrees, _ = os.path.split(own)
    common, name = os.path.split(worktrees)
    if name != "worktrees" or not _is_git_directory(common):
        return None
    back = _text(f"{own}/gitdir").rstrip("\n")
    if not back or os.path.normpath(os.path.join(own, back)) != f"{worktree}/.git":
        return None
    if _text(f"{own}/commondir").rstrip("\n/") != "../..":
        return None
    owners = {_owner(path) for path in (worktree, f"{worktree}/.git", own, common)}
    return common if len(owners) == 1 and None not in owners else None


def _owner(path: str) -> int | None:
    try:
        return os.stat(path, follow_symlinks=False).st_uid
    except OSError:
        return None


def _text(path: str) -> str:
    """What is in a file, reached by no link; "" where it cannot be read."""
    try:
        held = syscalls.openat2(syscalls.AT_FDCWD, path, os.O_PATH, NO_LINKS)
    except OSError:
        return ""
    try:
        return os.fsdecode(read_regular(f"/proc/self/fd/{held}", MOST_BYTES))
    except OSError:
        return ""
    finally:
        os.close(held)


def _ensure(path: str, *, directory: bool) -> bool:
    """There is a directory or a file to mount upon, reached by no link; a missing one is made.

    Else the agent could make it. An empty one means the same to git as none. It is made with
    the rights of the owner of the directory that it is in, so no link leads it elsewhere.
    """
    kind = look_up(path)
    if kind is not None:
        return kind == ("directory" if directory else "file")
    above, name = os.path.split(path)
    try:
        parent = syscalls.openat2(syscalls.AT_FDCWD, above, os.O_PATH | os.O_DIRECTORY, NO_LINKS)
    except OSError:
        return False
    try:
        facts = os.fstat(parent)
        with syscalls.file_ids(facts.st_uid, facts.st_gid):
            if directory:
                os.mkdir(name, 0o755, dir_fd=parent)
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o644, dir_fd=parent))
    except OSError:
        return False
    finally:
        os.close(parent)
    return look_up(path) == ("directory" if directory else "file")
