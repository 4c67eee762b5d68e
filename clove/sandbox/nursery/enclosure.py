"""The nursery's way in: from a fresh process on the host to the server in its own root.

Run as `python -I -S enclosure.py` with the control socket as descriptor 3,
like the helper. The namespaces that it enters give it the right to make more
of them, and no right on the host; then it becomes `server.py` by exec, so
that the interpreter starts in the view that agents have.
"""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":
    _here = os.path.dirname(os.path.abspath(__file__))
    _above = os.path.dirname(_here)
    for _name, _path in (("clove", os.path.dirname(_above)), ("clove.sandbox", _above)):
        _package = type(sys)(_name)
        _package.__path__ = [_path]
        sys.modules[_name] = _package

from clove.sandbox import capabilities, namespaces, syscalls
from clove.sandbox.confinement import Confinement, perform
from clove.sandbox.control import Channel
from clove.sandbox.nursery.roots import MOST_TREES, BaseRoot, receive_trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from clove.sandbox.confinement import Step

__all__ = ["Enclosure", "main"]

CONTROL = 3
SERVER = "/opt/clove/clove/sandbox/nursery/server.py"


class Enclosure(Confinement):
    """The steps of the nursery itself.

    @param plan: a spec whose `ids` is the list of [inside, outside, count] for its
        user namespace under a root kernel, and None under an ordinary user's;
        `preload` are modules to import.
    """

    def __init__(self, channel: Channel, plan: Mapping[str, Any]) -> None:
        super().__init__(channel, plan, namespaces.identities())

    def _steps(self) -> list[Step]:
        return [
            ("user", self._become_nobody),
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

    def _become_nobody(self) -> None:
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
        facts["rehearsal"] = self.spec["rehearsal"]
        words = [self.spec["argv"][0], SERVER, json.dumps(facts)]
        os.execve(words[0], words, self.spec["env"])  # noqa: S606


def main() -> None:
    """Read the plan from the control socket and carry it out."""
    os.setsid()
    syscalls.close_from(CONTROL + 1)
    channel = Channel(CONTROL, most_fds=MOST_TREES)
    received = channel.receive()
    if received is not None:
        plan, trees = received
        receive_trees(plan["binds"], trees)
        perform(Enclosure(channel, plan), channel)


if __name__ == "__main__":
    main()
