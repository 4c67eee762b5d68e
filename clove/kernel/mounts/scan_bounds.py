"""A scan of the host: the paths that it protects, its bounds, and listing a directory. Blocking."""

from __future__ import annotations

import errno
import os

import msgspec

from clove.errors import IsolationUnavailable
from clove.kernel.mounts.host_files import entry_kind
from clove.sandbox.inside import syscalls
from clove.sandbox.inside.mounts import NO_LINKS

__all__ = ["ProtectedPaths", "ScanBudget", "list_entries"]


class ProtectedPaths(msgspec.Struct, frozen=True, kw_only=True):
    """The host's paths that no sandbox shows, or none for writing, whatever is granted.

    @ivar masked: not shown at all: the kernel's state directory.
    @ivar read_only: its own code, interpreter and configuration.
    @ivar blank_directory, blank_file: empty ones, to mount over what is masked.
    """

    masked: tuple[str, ...]
    read_only: tuple[str, ...]
    blank_directory: str
    blank_file: str


class ScanBudget(msgspec.Struct):
    """What may still be mounted and looked at."""

    mounts: int
    entries: int
    found: int = msgspec.field(default=0)

    def count_mount(self, what: str) -> None:
        """Count a mount.

        @raise IsolationUnavailable: there can be no more.
        """
        self.found += 1
        if self.found > self.mounts:
            raise IsolationUnavailable(
                f"{what} needs more than {self.mounts} mounts",
                hint="grant or block whole directories, or raise limits.agents.exposed_mounts",
            )

    def count_entry(self, what: str) -> None:
        """Count a directory entry.

        @raise IsolationUnavailable: no more may be looked at.
        """
        self.entries -= 1
        if self.entries < 0:
            raise IsolationUnavailable(
                f"{what} has too many files to look for all that a pattern covers",
                hint="use patterns with fewer wildcards, grant narrower paths, or raise "
                "limits.agents.exposed_entries",
            )


def list_entries(directory: str, budget: ScanBudget) -> list[tuple[str, str]]:
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
                budget.count_entry(directory)
                found.append((entry.name, entry_kind(entry)))
    finally:
        os.close(descriptor)
    return found
