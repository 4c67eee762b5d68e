"""Whose files a granted path shows as the agent's (docs/owners.md). Blocking.

Under a root kernel: the owner of what was granted, if root has granted it, nobody else could have put
something else there, and its file system can map owners.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from clove.kernel.mounts.mount_plan import Root, outermost
from clove.kernel.mounts.paths import directories_above
from clove.kernel.mounts.set_id_files import SetIdSearch, TooManyFiles, is_set_id
from clove.sandbox.inside import mounts, syscalls
from clove.sandbox.inside.mounts import MOST_MAPS, NO_LINKS
from clove.sandbox.spec import Owner

if TYPE_CHECKING:
    from clove.sandbox.id_maps import IdMaps

__all__ = ["OwnedRoots", "Owners", "group_of", "hands_between"]

INSTEAD: Final = (
    "let others read or write its files (chmod o+rwX), keep them on ext4, xfs, btrfs or tmpfs (from "
    "Linux 6.3), or copy what is needed into the workspace"
)


class OwnedRoots(msgspec.Struct, frozen=True):
    """What is mounted, with the owners.

    @ivar read_only: paths in it that must not be written.
    @ivar kept: roots whose owner is not the agent, to the reason.
    """

    roots: tuple[Root, ...]
    read_only: tuple[str, ...] = ()
    kept: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def mapped(self) -> dict[str, int]:
        """Roots whose owner is the agent, to the owner's user id."""
        return {root.path: root.owner.uid for root in self.roots if root.owner is not None}


class Owners:
    """Finds the owners for the mounts of one start.

    @param agent: the user id of the agent.
    @param entries: directory entries that are looked at for set-id files.
    """

    def __init__(self, id_maps: IdMaps, agent: int, entries: int) -> None:
        self._id_maps = id_maps
        self._agent = agent
        self._entries = entries
        self._owners: set[tuple[int, int]] = set()

    def assign(self, roots: Iterable[Root], masked: Iterable[str]) -> OwnedRoots:
        """The outermost roots with their owners.

        @param masked: paths in them that are not shown.
        """
        found: list[Root] = []
        read_only: list[str] = []
        kept: dict[str, str] = {}
        search = SetIdSearch(frozenset(masked), self._entries)
        for root in outermost(roots):
            owner = self._owner_of(root, kept) if root.as_owner else None
            if owner is not None and root.writable and root.directory:
                try:
                    read_only += search.search(root.path)
                except TooManyFiles as error:
                    kept[root.path] = str(error)
                    owner = None
            found.append(replace(root, owner=owner))
        return OwnedRoots(tuple(found), tuple(read_only), kept)

    def _owner_of(self, root: Root, kept: dict[str, str]) -> Owner | None:
        """Its owner, if that can be mapped; else the reason is noted, if there is one."""
        try:
            place = syscalls.openat2(syscalls.AT_FDCWD, root.path, os.O_PATH, NO_LINKS)
        except OSError as error:  # it has gone meanwhile; its mount will fail
            kept[root.path] = error.strerror or ""
            return None
        try:
            facts = os.fstat(place)
            if facts.st_uid == self._agent:
                return None
            owner = Owner(facts.st_uid, group_of(facts.st_uid, facts.st_gid))
            reason = self._why_not(root, facts, owner) or self._cannot_map(place, owner)
        finally:
            os.close(place)
        if reason:
            kept[root.path] = reason
            return None
        return owner

    def _why_not(self, root: Root, facts: os.stat_result, owner: Owner) -> str:
        """Why an owner's rights to a path must not be given; "" if they may be."""
        if root.writable and not root.directory and is_set_id(facts.st_mode):
            return "it is a set-id file, which could be changed and stay one"
        self._owners.add(owner.ids)
        if len(self._owners) > MOST_MAPS:
            return f"the granted paths have more than {MOST_MAPS} owners"
        return hands_between(root.path, owner)

    def _cannot_map(self, place: int, owner: Owner) -> str:
        """Why owners cannot be mapped there; "" if they can: it is tried."""
        try:
            id_map = self._id_maps.open_map(owner.ids, self._agent)
        except OSError as error:
            return f"there is no user namespace for its owner: {error.strerror}; {INSTEAD}"
        try:
            tree = syscalls.open_tree("", dir_fd=place, recursive=False)
            try:
                mounts.map_ids(tree, id_map)
            finally:
                os.close(tree)
        except OSError as error:
            return f"{_why(error, _file_system(place))}; {INSTEAD}"
        finally:
            os.close(id_map)
        return ""


def group_of(uid: int, gid: int) -> int:
    """The group whose rights come with an owner's: never one that the owner is not in.

    @param gid: of the owner's file or directory, which counts where the owner is in it, or where that is
        not known; but root's group is nobody's then.
    """
    if uid == 0:
        return gid
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return gid or uid
    if gid == user.pw_gid:
        return gid
    try:
        members = grp.getgrgid(gid).gr_mem
    except KeyError:
        members = []
    return gid if user.pw_name in members else user.pw_gid


def hands_between(path: str, owner: Owner) -> str:
    """Who beside its owner and root could put something else at a path; "" if nobody.

    Looked at from the root on: what lies in a directory that nobody else can write stays.
    """
    for directory in ["/", *directories_above(path)]:
        try:
            facts = os.stat(directory, follow_symlinks=False)
        except OSError as error:
            return f"{directory}: {error.strerror}"
        what = f"something else could be put there: {directory}"
        if facts.st_uid not in (0, owner.uid):
            return f"{what} belongs to user {facts.st_uid}, and not to its owner or root"
        if facts.st_mode & stat.S_ISVTX:
            continue
        if facts.st_mode & stat.S_IWOTH:
            return f"{what} can be written by all (chmod o-w {directory})"
        if facts.st_mode & stat.S_IWGRP and facts.st_gid not in (0, owner.gid):
            return f"{what} can be written by group {facts.st_gid} (chmod g-w {directory})"
    return ""


def _why(error: OSError, file_system: str) -> str:
    if error.errno == errno.EINVAL:
        return f"on {file_system} this Linux cannot map owners"
    if error.errno == errno.EPERM:
        return (
            f"its mount ({file_system}) maps owners already, or belongs to another user namespace "
            "than the kernel's"
        )
    return f"its owner cannot be mapped on {file_system}: {error.strerror}"


def _file_system(place: int) -> str:
    """The type of the file system that a descriptor is on, as in /proc/self/mountinfo."""
    try:
        with open(f"/proc/self/fdinfo/{place}") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        number = fields["mnt_id"].strip()
        with open("/proc/self/mountinfo") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                if before.split(" ", 1)[0] == number:
                    return after.split(" ", 1)[0]
    except (OSError, KeyError, ValueError):
        pass
    return "its file system"
