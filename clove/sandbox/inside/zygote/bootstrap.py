"""The zygote's way in: from a fresh process on the host to the server in its own root.

Run as `python -I -S bootstrap.py` with the control socket as descriptor 3,
like the helper. The namespaces that it enters give it the right to make more
of them, and no right on the host; then it becomes `server.py` by exec, so
that the interpreter starts in the view that agents have.
"""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":
    _path = os.path.abspath(__file__)
    for _name in ("clove.sandbox.inside.zygote", "clove.sandbox.inside", "clove.sandbox", "clove"):
        _path = os.path.dirname(_path)
        _package = sys.modules[_name] = type(sys)(_name)
        _package.__path__ = [_path]

from clove.sandbox.inside import capabilities, namespaces, syscalls
from clove.sandbox.inside.confinement import Confinement, perform
from clove.sandbox.inside.control import Channel
from clove.sandbox.inside.priority import prefer_as_parent
from clove.sandbox.inside.zygote.roots import MOST_TREES, BaseRoot, receive_trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from clove.sandbox.inside.confinement import Step

__all__ = ["Bootstrap", "main"]

CONTROL = 3
SERVER = "/opt/clove/clove/sandbox/inside/zygote/server.py"


class Bootstrap(Confinement):
    """The steps of the zygote itself.

    @param plan: a spec whose `ids` is the list of [inside, outside, count] for its
        user namespace under a root kernel, and None under an ordinary user's;
        `preload` are modules to import.
    """

    def __init__(self, channel: Channel, plan: Mapping[str, Any]) -> None:
        super().__init__(channel, plan, namespaces.identities())

    def _steps(self) -> list[Step]:
        return [
            ("user", self._enter_own_user),
            ("process", capabilities.die_with_parent),
            ("keyring", self._leave_keyring),
            ("mnt", lambda: namespaces.enter({"mnt"})),
            ("net", lambda: namespaces.enter({"net"})),
            ("ipc", lambda: namespaces.enter({"ipc"})),
            ("uts", lambda: namespaces.enter({"uts"})),
            ("uts", self._set_hostname),
            ("root", lambda: BaseRoot().prepare(self.spec)),
            ("exec", self._become_server),
        ]

    def _enter_own_user(self) -> None:
        """Have every right in a new user namespace, and none outside.

        There is no root in it: Linux gives it the entries in /proc of processes that
        hide theirs, and under an ordinary user's kernel agents would be the same user.
        """
        uid, gid = os.geteuid(), os.getegid()
        ids = self.spec["ids"]
        if ids is None:
            namespaces.enter({"user"})
            namespaces.write_id_map("self", uid, gid)
            return
        os.setgroups([])
        namespaces.enter_mapped(ids)
        namespaces.become_inside_user()

    def _become_server(self) -> None:
        os.set_inheritable(CONTROL, True)
        capabilities.keep_through_exec()
        facts = {"outside": self._outside, "preload": self.spec["preload"]}
        facts["warm_up"] = self.spec["warm_up"]
        words = [self.spec["argv"][0], SERVER, json.dumps(facts)]
        os.execve(words[0], words, self.spec["env"])  # noqa: S606


def main() -> None:
    """Read the plan from the control socket and carry it out."""
    os.setsid()
    prefer_as_parent()
    syscalls.close_from(CONTROL + 1)
    channel = Channel(CONTROL, most_fds=MOST_TREES)
    received = channel.receive()
    if received is not None:
        plan, trees = received
        receive_trees(plan["binds"], trees)
        perform(Bootstrap(channel, plan), channel)


if __name__ == "__main__":
    main()
