"""A child of the zygote on its way to be an agent's process 1.

It is in new pid, mount, network, IPC and UTS namespaces and in its cgroup, with
every right in the zygote's user namespace, which owns them; the loopback is up
and its keyring is its own (`server.py`). Afterwards it is in a user namespace of
its own and the rights are gone.
"""

from __future__ import annotations

from clove.sandbox.inside import capabilities, namespaces
from clove.sandbox.inside.confinement import Confinement
from clove.sandbox.inside.zygote.roots import RootOnBase, receive_trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from clove.sandbox.inside.confinement import Step
    from clove.sandbox.inside.control import Channel
    from clove.sandbox.inside.zygote.main_program import MainProgram

__all__ = ["CLONED_NAMESPACES", "WarmStart"]

CLONED_NAMESPACES = ("pid", "mnt", "net", "ipc", "uts")
"""Namespaces that a child is made in; the others begin later."""


class WarmStart(Confinement):
    """The steps that are left for a forked child.

    @param spec: the fields of C{SandboxSpec}; `beyond` are the files in which its root
        differs from the zygote's, or None if it is another one altogether; else
        `binds` are those that the zygote's lacks. `inside_uid` is its outside
        uid as the zygote's user namespace has it.
    @param trees: detached mounts from the kernel, for the binds that name them
        by their number in `tree`; last of all the main program's stdin, if the spec has one.
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
        self._stdin = trees.pop() if spec["stdin"] else -1
        receive_trees(spec["binds"], trees)
        if spec["beyond"] is None:
            root.close()
        else:
            self._root = root

    def _steps(self) -> list[Step]:
        return [
            ("egress", self._hand_out_sockets),
            ("root", self._build_root),
            ("user", self._leave_zygote_user),
            ("time", self._start_clocks),
            ("time", lambda: self._main.admit(self._stdin)),
            ("nesting", self._limit_user),
            ("capabilities", self._drop_privileges),
            *self._confining(),
            ("serve", lambda: self._serve(self._start_main)),
        ]

    def _leave_zygote_user(self) -> None:
        """Give up the zygote's user namespace; its mounts are out of reach from now on."""
        uid = self.spec["inside_uid"]
        namespaces.become_user(uid)
        capabilities.show_memory()  # its own entries in /proc must be writable to it
        namespaces.enter({"user"})
        namespaces.write_id_map("self", uid, uid)

    def _start_main(self) -> tuple[int, int]:
        self._main.run(self._landlock)
        return self._main.started
