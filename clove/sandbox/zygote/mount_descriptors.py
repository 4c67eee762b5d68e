"""Mounts that a root kernel opens for its zygote.

An unprivileged zygote cannot reach what lies in root's directories, so a root
kernel opens each mount of the host itself. The zygote gets the mount alone,
detached and with its final attributes (open_tree(2), mount_setattr(2)).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from clove.sandbox.id_maps import IdMaps, MapDescriptors
from clove.sandbox.inside.mounts import open_bind
from clove.sandbox.spec import Bind

__all__ = ["MountDescriptors"]


class MountDescriptors:
    """Descriptors of mounts, to be sent; the object has them until L{close}.

    @param id_maps: for mounts with another owner.
    @ivar trees: mounts.
    """

    def __init__(self, id_maps: IdMaps | None = None) -> None:
        self.trees: list[int] = []
        self._id_maps = id_maps
        self._maps: MapDescriptors | None = None
        self._numbers: dict[Bind, int] = {}

    def open_mounts(self, binds: Iterable[Bind], uid: int | None = None) -> None:
        """Open their mounts. Blocking.

        @param uid: the agent's user id, if some have an owner.
        @raise OSError: its filename names what cannot be had.
        """
        binds = tuple(binds)
        if self._maps is None and any(bind.owner is not None for bind in binds):
            self._maps = MapDescriptors(self._id_maps)
        if self._maps is not None:
            self._maps.open_maps(binds, uid)
        for bind in binds:
            id_map = -1 if self._maps is None else self._maps.of_bind(bind)
            tree = open_bind({**bind.to_json(), "id_map": id_map})
            if tree < 0:
                self._numbers[bind] = -1
                continue
            self._numbers[bind] = len(self.trees)
            self.trees.append(tree)

    def missing(self, binds: Iterable[Bind]) -> list[Bind]:
        """Those that have not been opened."""
        return [bind for bind in binds if bind not in self._numbers]

    def describe(self, binds: Iterable[Bind]) -> list[dict[str, Any]]:
        """Binds as they are read on the other side, without those that the host lacks."""
        described = (self._describe(bind) for bind in binds)
        return [fields for fields in described if fields is not None]

    def _describe(self, bind: Bind) -> dict[str, Any] | None:
        fields = bind.to_json()
        number = self._numbers.get(bind)
        if number is None:
            return fields
        return None if number < 0 else {**fields, "tree": number}

    def close(self) -> None:
        """The messages have their own copies."""
        if self._maps is not None:
            self._maps.close()
        while self.trees:
            os.close(self.trees.pop())
