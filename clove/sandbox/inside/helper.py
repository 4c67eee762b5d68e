"""What the launcher starts: joins cgroups, enters namespaces, becomes or makes init.

Run as `python -I -S helper.py` with the control socket as descriptor 3, so that
it starts quickly and reads nothing but the standard library. The modules of
this directory are imported under their usual names, but no package's
`__init__` is run.
"""

from __future__ import annotations

import errno
import os
import sys

if __name__ == "__main__":
    _path = os.path.abspath(__file__)
    for _name in ("clove.sandbox.inside", "clove.sandbox", "clove"):
        _path = os.path.dirname(_path)
        _package = sys.modules[_name] = type(sys)(_name)
        _package.__path__ = [_path]

from clove.sandbox.inside import capabilities, namespaces, program, syscalls
from clove.sandbox.inside.confinement import Confinement, perform
from clove.sandbox.inside.control import Channel
from clove.sandbox.inside.mounts import MOST_MAPS
from clove.sandbox.inside.priority import prefer_as_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from clove.sandbox.inside.confinement import Step

__all__ = ["CONTROL", "ColdStart", "main"]

CONTROL = 3
"""The descriptor of the control socket."""


class ColdStart(Confinement):
    """Every step from a fresh process on the host; without namespaces, it stays there.

    @param id_maps: descriptors of user namespaces, for the binds that name them by their
        number in `id_map`.
    """

    def __init__(
        self, channel: Channel, spec: Mapping[str, Any], id_maps: Sequence[int] = ()
    ) -> None:
        super().__init__(channel, spec, namespaces.identities())
        self._id_maps = id_maps
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._ask = self._answer = -1

    def _steps(self) -> list[Step]:
        kinds = self._kinds
        if not kinds:
            return [
                ("cgroup", self._join_cgroups),
                ("rlimits", self._set_limits),
                ("session", self._yield_processors),
                ("serve", self._serve),
            ]
        return [
            ("cgroup", self._join_cgroups),
            ("process", capabilities.die_with_parent),
            ("user", self._enter_own_user),
            ("pid", lambda: namespaces.enter(kinds & {"pid"})),
            ("fork", self._fork),
            # From here on it is the child, process 1 of the pid namespace.
            ("mnt", lambda: namespaces.enter(kinds & {"mnt"})),
            ("net", lambda: namespaces.enter(kinds & {"net"})),
            ("ipc", lambda: namespaces.enter(kinds & {"ipc"})),
            ("uts", lambda: namespaces.enter(kinds & {"uts"})),
            ("cgroupns", lambda: namespaces.enter(kinds & {"cgroup"})),
            ("net", self._raise_loopback),
            ("egress", self._hand_out_sockets),
            ("uts", self._set_hostname),
            ("root", self._build_root),
            ("keyring", self._leave_keyring),
            ("user", self._drop_to_user),
            ("user", self._close_pipes),
            ("time", self._start_clocks),
            ("nesting", self._limit_user),
            ("capabilities", self._drop_privileges),
            ("capabilities", self._end_with_parent),
            *self._confining(),
            ("serve", self._serve),
        ]

    def _join_cgroups(self) -> None:
        for path in self.spec["cgroup_procs"]:
            procs = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.write(procs, b"0")
            os.close(procs)

    def _enter_own_user(self) -> None:
        """Without root, the user namespace comes first: it gives the right to the others."""
        if self._is_root or "user" not in self._kinds:
            return
        namespaces.enter({"user"})
        namespaces.write_id_map("self", self._uid, self._gid)
        capabilities.die_with_parent()

    def _fork(self) -> None:
        """Go on in a child; this process stays outside until the child has ended."""
        answers, self._answer = os.pipe2(os.O_CLOEXEC)
        self._ask, asks = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            self._answer, self._ask = answers, asks
            capabilities.die_with_parent()
            return
        os.close(answers)
        os.close(asks)
        self._close_id_maps()
        self._channel.close()
        self._stay_outside(pid)

    def _stay_outside(self, child: int) -> None:
        """Write the child's id map when it asks for it, then wait for its end."""
        os.close(0)  # a pipe without another reader is one that nothing reads
        if os.read(self._ask, 1):
            try:
                namespaces.write_id_map(str(child), self.spec["uid"], self.spec["uid"])
                problem = 0
            except OSError as error:
                problem = error.errno or errno.EIO
            os.write(self._answer, problem.to_bytes(4, "little"))
        os.waitpid(child, 0)
        os._exit(0)

    def _build_root(self) -> None:
        for bind in self.spec["binds"]:
            if "id_map" in bind:
                bind["id_map"] = self._id_maps[bind["id_map"]]
        super()._build_root()
        self._close_id_maps()

    def _close_id_maps(self) -> None:
        for descriptor in self._id_maps:
            os.close(descriptor)

    def _raise_loopback(self) -> None:
        if "net" in self._kinds:
            namespaces.raise_loopback()

    def _drop_to_user(self) -> None:
        """With root, the user namespace comes last: the mounts above stay out of its reach."""
        if not self._is_root:
            return
        uid = self.spec["uid"]
        if not uid:
            raise OSError(errno.EINVAL, "a kernel that is root must give the sandbox a uid")
        os.setgroups([])
        if "user" not in self._kinds:
            capabilities.drop_bounding()
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            return
        namespaces.enter({"user"})
        os.write(self._ask, b"m")
        problem = int.from_bytes(os.read(self._answer, 4) or b"\x05", "little")
        if problem:
            raise OSError(problem, os.strerror(problem))
        namespaces.become_inside_user()

    def _close_pipes(self) -> None:
        for descriptor in (self._ask, self._answer):
            os.close(descriptor)

    def _end_with_parent(self) -> None:
        """Ask for it again, which a change of user has undone.

        Without a pid namespace a killed process 1 would leave the agent's processes behind: there it
        lives on and ends them when the control socket does.
        """
        if "pid" in self._kinds:
            capabilities.die_with_parent()
        else:
            capabilities.die_with_parent(0)


def main() -> None:
    """Read the spec from the control socket and carry it out."""
    os.setsid()  # signals of the kernel's terminal are the kernel's
    prefer_as_parent()
    program.reset_signals()
    syscalls.close_from(CONTROL + 1)
    channel = Channel(CONTROL, most_fds=MOST_MAPS)
    received = channel.receive()
    if received is not None:
        spec, id_maps = received
        perform(ColdStart(channel, spec, id_maps), channel)


if __name__ == "__main__":
    main()
    os._exit(0)  # taking the interpreter apart costs more than the rest of an end does
