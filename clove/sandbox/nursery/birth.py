"""A child of the nursery on its way to be an agent's process 1.

It is in new pid, mount, network, IPC and UTS namespaces and in its cgroup, with
every right in the nursery's user namespace, which owns them. What is left is
what `Confinement` has for every sandbox; afterwards it is in a user namespace
of its own and the rights are gone.
"""

from __future__ import annotations

from clove.sandbox import capabilities, namespaces
from clove.sandbox.confinement import Confinement
from clove.sandbox.nursery.roots import RootOnBase, receive_trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from clove.sandbox.confinement import Step
    from clove.sandbox.control import Channel
    from clove.sandbox.nursery.main_program import MainProgram

__all__ = ["BORN_INTO", "WarmStart"]

BORN_INTO = ("pid", "mnt", "net", "ipc", "uts")
"""Namespaces that a child is made in; the others begin later."""


class WarmStart(Confinement):
    """The steps that are left for a forked child.

    @param spec: the fields of C{SandboxSpec}; `beyond` are the files in which its root
        differs from the nursery's, or None if it is another one altogether; else
        `binds` are those that the nursery's lacks. `inside_uid` is its outside
        uid as the nursery's user namespace has it.
    @param trees: detached mounts from the kernel, for the binds that name them
        by their number in `tree`.
    @param root: has begun.
    @param main: has the spec already.
    """

    def __init__(
        self,
        channel: Channel,
        spec: Mapping[str, Any],
        outside: Mapping[str, str],
        trees: list[int],
        root: RootOnBase,
        main: MainProgram,
    ) -> None:
        super().__init__(channel, spec, outside)
        self._main = main
        self._scoped = False  # the main program's rules are its own, see MainStart
        receive_trees(spec["binds"], trees)
        if spec["beyond"] is None:
            root.close()
        else:
            self._root = root

    def _steps(self) -> list[Step]:
        return self._inside()

    def _enter_cgroup_namespace(self) -> None:
        """It has been: the child is in its cgroup since its birth."""

    def _set_up_network(self) -> None:
        """The loopback is up already: it needed no spec."""

    def _set_hostname(self) -> None:
        """It is the nursery's."""

    def _leave_keyring(self) -> None:
        """It has been left."""

    def _drop_to_user(self) -> None:
        """Give up the nursery's user namespace; its mounts are out of reach from now on."""
        uid = self.spec["inside_uid"]
        namespaces.become_user(uid)
        capabilities.show_memory()  # its own entries in /proc must be writable to it
        namespaces.enter({"user"})
        namespaces.write_id_map("self", uid, uid)

    def _start_clocks(self) -> None:
        super()._start_clocks()
        self._main.let_in()

    def _started(self) -> tuple[int, int]:
        self._main.run(self._landlock)
        return self._main.started
