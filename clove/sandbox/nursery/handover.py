"""Descriptors that the kernel opens for its nursery: cgroups, and under root mounts.

An unprivileged nursery cannot reach what lies in root's directories, so a root
kernel opens each mount of the host itself. The nursery gets the mount alone,
detached and with its final attributes (open_tree(2), mount_setattr(2)).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from clove.sandbox import mounts
from clove.sandbox.agent_cgroup import AgentCgroup
from clove.sandbox.root import attributes
from clove.sandbox.spec import Bind

__all__ = ["Handover"]


class Handover:
    """Descriptors on their way; the object has them until L{close}.

    @ivar trees: mounts.
    @ivar cgroup: a cgroup's directory, or none.
    """

    def __init__(self) -> None:
        self.trees: list[int] = []
        self.cgroup: list[int] = []
        self._numbers: dict[Bind, int] = {}

    def take(self, procs: Iterable[str], binds: Iterable[Bind]) -> None:
        """Open them. Blocking.

        @param procs: the `cgroup.procs` file of the cgroup to be born in, if any.
        @param binds: those whose mounts are to be opened here.
        @raise OSError: its filename names what cannot be had.
        """
        for path in procs:
            self.cgroup.append(AgentCgroup(os.path.dirname(path)).open())
        for bind in binds:
            try:
                tree = mounts.copy(bind.source, attributes(asdict(bind)))
            except FileNotFoundError:
                if not bind.optional:
                    raise
                self._numbers[bind] = -1
                continue
            self._numbers[bind] = len(self.trees)
            self.trees.append(tree)

    def describe(self, binds: Iterable[Bind]) -> list[dict[str, Any]]:
        """Binds as they are read on the other side, without those that the host lacks."""
        described = (self._describe(bind) for bind in binds)
        return [fields for fields in described if fields is not None]

    def _describe(self, bind: Bind) -> dict[str, Any] | None:
        fields = asdict(bind)
        number = self._numbers.get(bind)
        if number is None:
            return fields
        return None if number < 0 else {**fields, "tree": number}

    def close(self) -> None:
        """The messages have their own copies."""
        for descriptor in (*self.trees, *self.cgroup):
            os.close(descriptor)
        self.trees, self.cgroup = [], []
