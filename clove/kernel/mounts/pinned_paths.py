"""Paths of the host that were judged, held until they are mounted. Blocking.

Between the judgement and the mount an agent may exchange what is at a path, by a link
or by another directory. Links are followed nowhere (openat2(2)). Another directory is
noticed by its device and inode number, which nothing else can have as long as a
descriptor holds the first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from clove.errors import InvalidRequest
from clove.kernel.mounts.interpreter import Part
from clove.sandbox.inside import syscalls
from clove.sandbox.inside.mounts import NO_LINKS
from clove.sandbox.spec import Bind

__all__ = ["PinnedPaths", "identify"]

_EXCHANGED = "what is at a path of the interpreter was exchanged while the spawn went on"


def identify(descriptor: int, path: str) -> tuple[int, int]:
    """The identity of what a descriptor holds, if it lies at a path of the host. Closes it.

    @raise InvalidRequest: something else lies there, or nothing, or it is reached by a link.
    """
    try:
        held = os.fstat(descriptor)
        try:
            place = _hold(path)
        except OSError as error:
            raise InvalidRequest(f"{_EXCHANGED}: {error.strerror}") from None
        try:
            if not os.path.samestat(held, os.fstat(place)):
                raise InvalidRequest(_EXCHANGED)
        finally:
            os.close(place)
    finally:
        os.close(descriptor)
    return held.st_dev, held.st_ino


def _hold(path: str) -> int:
    return syscalls.openat2(syscalls.AT_FDCWD, path, os.O_PATH, NO_LINKS)


class PinnedPaths:
    """The parts of an interpreter for one start.

    @ivar binds: mounts of what is held, and of nothing else.
    """

    def __init__(self) -> None:
        self.binds: tuple[Bind, ...] = ()
        self._held: list[int] = []

    def pin(self, parts: Iterable[Part], *, as_found: bool) -> None:
        """Hold them as they are now.

        @param as_found: they must be what they were when the interpreter was found.
        @raise InvalidRequest: one is not there, reached by a link, or another one.
        """
        binds = []
        for part in parts:
            try:
                descriptor = _hold(part.source)
            except OSError as error:
                raise InvalidRequest(
                    f"{part.target}, which the agent's interpreter needs: {error.strerror}",
                    hint="what an agent's python names must stay there as long as the agent does",
                ) from None
            self._held.append(descriptor)
            facts = os.fstat(descriptor)
            identity = (facts.st_dev, facts.st_ino)
            same_kind = stat.S_ISDIR(facts.st_mode) == part.directory
            if not same_kind or (as_found and identity != part.identity):
                raise InvalidRequest(_EXCHANGED)
            binds.append(Bind(part.source, part.target, identity=identity))
        self.binds = tuple(binds)

    def close(self) -> None:
        """Let go of them. Idempotent."""
        while self._held:
            os.close(self._held.pop())
