"""What the launcher starts: joins cgroups, enters namespaces, becomes or makes init.

Run as `python -I -S helper.py` with the control socket as descriptor 3, so that
it starts quickly and reads nothing but the standard library. The modules of
this directory are imported under their usual names, but no package's
`__init__` is run.
"""

from __future__ import annotations

import _socket
import binascii
import errno
import os
import sys

if __name__ == "__main__":
    _here = os.path.dirname(os.path.abspath(__file__))
    for _name, _path in (("clove", os.path.dirname(_here)), ("clove.sandbox", _here)):
        _package = type(sys)(_name)
        _package.__path__ = [_path]
        sys.modules[_name] = _package

from clove.sandbox import (
    capabilities,
    landlock,
    namespaces,
    program,
    rlimits,
    seccomp,
    syscalls,
)
from clove.sandbox.control import MAX_FDS, Channel
from clove.sandbox.init import Init
from clove.sandbox.outlet import make_outlet
from clove.sandbox.population import Descendants, Namespace
from clove.sandbox.root import DEVICES, PrivateRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from clove.sandbox.population import Population

__all__ = ["CONTROL", "Confinement", "main"]

CONTROL = 3
"""The descriptor of the control socket."""
CLOSE_RANGE = 436


class Confinement:
    """One sandbox in the making: every step on the way in, in its order.

    @ivar step: the step under way, to name it when it fails.
    """

    def __init__(self, channel: Channel, spec: Mapping[str, Any]) -> None:
        self.step = "start"
        self._channel = channel
        self._spec = spec
        self._kinds = frozenset(spec["namespaces"])
        self._root = PrivateRoot()
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._is_root = self._uid == 0
        self._outside = namespaces.identities()
        self._ask = self._answer = -1
        self._landlock = 0
        self._program_filter = b""

    def run(self) -> None:
        """Take every step, in this process and, with namespaces, in its child.

        Returns, in the process that served as init, when everything is over.
        """
        for step, perform in self._steps():
            self.step = step
            perform()

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        kinds = self._kinds
        if not kinds:
            return [
                ("cgroup", self._join_cgroups),
                ("rlimits", self._set_limits),
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
            ("net", self._set_up_network),
            ("egress", self._hand_out_sockets),
            ("uts", self._set_hostname),
            ("root", self._build_root),
            ("keyring", namespaces.new_session_keyring),
            ("user", self._drop_to_user),
            ("nesting", self._forbid_nesting),
            ("capabilities", self._drop_privileges),
            ("rlimits", self._set_limits),
            ("landlock", self._confine_files),
            ("seccomp", self._filter_calls),
            ("serve", self._serve),
        ]

    def _join_cgroups(self) -> None:
        for path in self._spec["cgroup_procs"]:
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
        self._channel.close()
        self._stay_outside(pid)

    def _stay_outside(self, child: int) -> None:
        """Write the child's id map when it asks for it, then wait for its end."""
        if os.read(self._ask, 1):
            try:
                namespaces.write_id_map(str(child), self._spec["uid"], self._spec["uid"])
                problem = 0
            except OSError as error:
                problem = error.errno or errno.EIO
            os.write(self._answer, problem.to_bytes(4, "little"))
        os.waitpid(child, 0)
        os._exit(0)

    def _set_up_network(self) -> None:
        if "net" in self._kinds:
            namespaces.raise_loopback()

    def _hand_out_sockets(self) -> None:
        """Give the kernel the sockets on which it answers for the network."""
        ports = self._spec["egress"]
        if ports is None or "net" not in self._kinds:
            return
        sockets = make_outlet(ports)
        for at in range(0, len(sockets), MAX_FDS):
            some = [each.fileno() for each in sockets[at : at + MAX_FDS]]
            self._channel.send({"op": "egress"}, some)
        for each in sockets:
            each.close()

    def _set_hostname(self) -> None:
        if "uts" in self._kinds:
            _socket.sethostname(self._spec["hostname"])

    def _build_root(self) -> None:
        if "mnt" in self._kinds:
            self._root.build(self._spec, own_proc="pid" in self._kinds)
            self._root.enter(self._spec["cwd"])

    def _drop_to_user(self) -> None:
        """With root, the user namespace comes last: the mounts above stay out of its reach."""
        if not self._is_root:
            return
        uid = self._spec["uid"]
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

    def _forbid_nesting(self) -> None:
        if self._root.proc < 0:
            return
        if "user" in self._kinds:
            namespaces.forbid_nesting(self._root.proc)
        os.close(self._root.proc)

    def _drop_privileges(self) -> None:
        for descriptor in (self._ask, self._answer):
            os.close(descriptor)
        if "user" in self._kinds:
            capabilities.drop_bounding()
        if "user" in self._kinds or self._is_root:
            capabilities.drop_current()
        capabilities.forbid_new_privileges()
        capabilities.hide_memory()
        if "pid" in self._kinds:
            capabilities.die_with_parent()
        else:  # everybody could be orphaned: the end of the control socket ends them
            capabilities.die_with_parent(0)
        os.setsid()

    def _set_limits(self) -> None:
        rlimits.apply({**self._spec["rlimits"], "core": 0})
        if self._spec["nice"]:
            os.nice(self._spec["nice"])
        # Waking many inits at once must not push the kernel aside (sched(7));
        # the programs that init starts are scheduled as usual.
        policy = os.SCHED_BATCH | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(0))
        if self._spec["umask"] is not None:
            os.umask(self._spec["umask"])

    def _confine_files(self) -> None:
        if self._spec["landlock"] and "mnt" in self._kinds:
            self._landlock = landlock.restrict(landlock.rules(self._spec, DEVICES))

    def _filter_calls(self) -> None:
        """Filter everything from here on; the filter for programs is kept for them."""
        if not self._spec["seccomp"]:
            return
        filters = self._spec["filters"]
        if not filters:
            raise OSError(errno.EOPNOTSUPP, "there is no filter for this architecture")
        seccomp.load(binascii.a2b_base64(filters["sandbox"]))
        self._program_filter = binascii.a2b_base64(filters["programs"])

    def _serve(self) -> None:
        everybody: Population = Namespace() if "pid" in self._kinds else Descendants()
        program.reset_signals()
        now = namespaces.identities()
        entered = {kind: now[kind] != self._outside.get(kind) for kind in now}
        sys.path.clear()  # nothing is ever imported from inside
        ready = {
            "op": "ready",
            "namespaces": entered,
            "seccomp": bool(self._program_filter) and seccomp.is_filtered(),
            "landlock": self._landlock,
        }
        Init(self._channel, self._spec, everybody, ready, self._program_filter).serve()


def main() -> None:
    """Read the spec from the control socket and carry it out."""
    os.setsid()  # signals of the kernel's terminal are the kernel's
    syscalls.call(CLOSE_RANGE, CONTROL + 1, 0xFFFFFFFF, 0)
    channel = Channel(CONTROL)
    received = channel.receive()
    if received is None:
        return
    confinement = Confinement(channel, received[0])
    try:
        confinement.run()
    except ConnectionError:  # the kernel is gone
        return
    except OSError as error:
        problem = {"errno": error.errno, "text": error.strerror or str(error)}
        if isinstance(error.filename, str):
            problem["path"] = error.filename
        channel.send({"op": "failed", "step": confinement.step, **problem})
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        channel.send({"op": "failed", "step": confinement.step, "errno": 0, "text": text})


if __name__ == "__main__":
    main()
    os._exit(0)  # taking the interpreter apart costs more than the rest of an end does
