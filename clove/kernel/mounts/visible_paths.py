"""Paths that a sandbox shows, looked at from the host. Blocking.

What lies there is at its own path on the host, but agents may have made links among it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from typing import Final

from clove.errors import IsolationUnavailable
from clove.kernel.mounts.interpreter import in_system, own_parts
from clove.kernel.mounts.paths import beneath
from clove.sandbox.spec import Bind, SandboxSpec

__all__ = ["VisiblePaths", "above"]

ALTERNATIVES: Final = "/etc/alternatives"
"""Debian's links in between (update-alternatives(1))."""
MOST_ENTRIES: Final = 4096
"""Names in a directory that is neither the system's nor of the kernel's interpreter: agents may
fill it."""
MOST_LINKS: Final = 40
"""Links that Linux follows in one path (path_resolution(7))."""


class VisiblePaths:
    """Those of one sandbox.

    @param spec: the whole of it.
    """

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec
        self._binds = sorted(spec.binds, key=lambda bind: len(bind.target), reverse=True)

    def is_fixed(self, path: str) -> bool:
        """It is shown at its own path, and cannot be written."""
        bind = self._bind(path)
        return bind is not None and not bind.writable and bind.source == bind.target

    def resolved(self, path: str) -> str | None:
        """The real path of what is at a path inside; None where the sandbox has nothing.

        No link is followed to what the sandbox does not have: looking there, with the
        kernel's rights, could have something mounted (autofs(5)).
        """
        for _ in range(MOST_LINKS):
            path = os.path.normpath(path)
            if not self._has(path):
                return None
            link = next((one for one in [*[*above(path)][::-1], path] if os.path.islink(one)), "")
            if not link:
                return path
            try:
                text = os.readlink(link)
            except OSError:  # it has just been exchanged
                return None
            path = os.path.join(os.path.dirname(link), text) + path[len(link) :]
        return None

    def _has(self, path: str) -> bool:
        """It is shown at this path, or a link of the sandbox's own leads to it."""
        linked = any(path == link or path.startswith(f"{link}/") for link in self._spec.links)
        return linked or self._bind(path) is not None

    def writable_place(self, path: str) -> str | None:
        """The writable place that a path inside lies in."""
        bind = self._bind(path)
        if bind is not None:
            return bind.target if bind.writable else None
        directories = ["/dev/shm", *self._spec.tmpfs]  # noqa: S108
        return next((one for one in directories if path.startswith(f"{one}/")), None)

    def _bind(self, path: str) -> Bind | None:
        return next(
            (
                bind
                for bind in self._binds
                if path == bind.target or path.startswith(f"{bind.target}/")
            ),
            None,
        )

    def links(self, directory: str) -> Iterator[tuple[str, str]]:
        """Each link in a directory and the real path that it leads to.

        @raise IsolationUnavailable: an agent may have filled it.
        """
        own = [bind.source for bind in own_parts()]
        if in_system(directory) or beneath(directory, own):
            stamp = (_changed(directory), _changed(ALTERNATIVES))
            yield from _system_links(directory, stamp)
            return
        try:
            names = _link_names(directory, MOST_ENTRIES)
        except OverflowError:
            raise IsolationUnavailable(
                f"{directory} has more than {MOST_ENTRIES} names, among which programs that are "
                "blocked have to be looked for",
                hint="leave it out of PATH, or use another interpreter",
            ) from None
        for name in names:
            path = self.resolved(f"{directory}/{name}")
            if path is not None:
                yield name, path


def _changed(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return 0


def _link_names(directory: str, most: int | None = None) -> list[str]:
    """The links in a directory.

    @raise OverflowError: it has more names than `most`.
    """
    names = []
    try:
        with os.scandir(directory) as listing:
            for number, entry in enumerate(listing):
                if most is not None and number >= most:
                    raise OverflowError
                if entry.is_symlink():
                    names.append(entry.name)
    except OSError:
        return []
    return names


@functools.lru_cache(maxsize=32)
def _system_links(directory: str, stamp: tuple[int, int]) -> tuple[tuple[str, str], ...]:
    """Each link in a directory of the system's and the real path that it leads to.

    @param stamp: when the links were last changed; looking anew takes 10 ms.
    """
    names = _link_names(directory)
    return tuple((name, os.path.realpath(f"{directory}/{name}")) for name in names)


def above(path: str) -> Iterator[str]:
    """The directories that a path is in, inner ones first, the root directory left out."""
    while (path := os.path.dirname(path)) != "/":
        yield path
