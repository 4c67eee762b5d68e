"""The steps of a sandbox in the making, in their order; they end in a serving init.

How process 1 comes to be differs: the helper enters new namespaces and forks
(`helper.py`), the nursery makes a child that is in them already
(`nursery/birth.py`). From there on everything is the same and is here.
"""

from __future__ import annotations

import _socket
import binascii
import errno
import os
import sys

from clove.sandbox import capabilities, landlock, namespaces, rlimits, seccomp
from clove.sandbox.control import MAX_FDS
from clove.sandbox.init import Init
from clove.sandbox.outlet import make_outlet
from clove.sandbox.population import Descendants, Namespace
from clove.sandbox.root import DEVICES, PrivateRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from clove.sandbox.control import Channel
    from clove.sandbox.population import Population

    Step = tuple[str, Callable[[], None]]

__all__ = ["Confinement", "perform"]


class Confinement:
    """One sandbox in the making.

    @ivar step: the step under way, to name it when it fails.
    @param outside: the namespaces that the kernel is in, as
        L{namespaces.identities} names them.
    """

    def __init__(
        self, channel: Channel, spec: Mapping[str, Any], outside: Mapping[str, str]
    ) -> None:
        self.step = "start"
        self.spec = spec
        self._channel = channel
        self._kinds = frozenset(spec["namespaces"])
        self._root = PrivateRoot()
        self._is_root = os.geteuid() == 0
        self._outside = outside
        self._landlock = 0
        self._scoped = True
        self._program_filter = b""

    def run(self) -> None:
        """Take every step; returns when what init served is over."""
        for step, perform in self._steps():
            self.step = step
            perform()

    def _steps(self) -> list[Step]:
        """All steps, up to `serve`."""
        raise NotImplementedError

    def _inside(self) -> list[Step]:
        """The steps of process 1, in its new namespaces but for cgroup, user and time."""
        return [
            ("cgroupns", self._enter_cgroup_namespace),
            ("net", self._set_up_network),
            ("egress", self._hand_out_sockets),
            ("uts", self._set_hostname),
            ("root", self._build_root),
            ("keyring", self._leave_keyring),
            ("user", self._drop_to_user),
            ("time", self._start_clocks),
            ("nesting", self._limit_user),
            ("capabilities", self._drop_privileges),
            ("rlimits", self._set_limits),
            ("landlock", self._confine_files),
            ("seccomp", self._filter_calls),
            ("serve", self._serve),
        ]

    def _enter_cgroup_namespace(self) -> None:
        namespaces.enter(self._kinds & {"cgroup"})

    def _set_up_network(self) -> None:
        if "net" in self._kinds:
            namespaces.raise_loopback()

    def _hand_out_sockets(self) -> None:
        """Give the kernel the sockets on which it answers for the network."""
        ports = self.spec["egress"]
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
            _socket.sethostname(self.spec["hostname"])

    def _build_root(self) -> None:
        if "mnt" in self._kinds:
            self._root.build(self.spec, own_proc="pid" in self._kinds)
            self._root.enter(self.spec["cwd"])

    def _leave_keyring(self) -> None:
        namespaces.new_session_keyring(filtered=self.spec["seccomp"])

    def _drop_to_user(self) -> None:
        """Become the agent's own user, in a user namespace below that of the mounts."""
        raise NotImplementedError

    def _start_clocks(self) -> None:
        """Programs count the time since their sandbox began, not since the machine did."""
        if "time" in self._kinds:
            capabilities.show_memory()  # until they are dropped; a change of user hid it
            namespaces.start_clocks()

    def _limit_user(self) -> None:
        if self._root.proc < 0:
            return
        if "user" in self._kinds:
            namespaces.limit_user(self._root.proc, self.spec["user_limits"])
        os.close(self._root.proc)

    def _drop_privileges(self) -> None:
        if "user" in self._kinds:
            capabilities.drop_bounding()
        if "user" in self._kinds or self._is_root:
            capabilities.drop_current()
        capabilities.forbid_new_privileges()
        capabilities.hide_memory()
        os.setsid()

    def _set_limits(self) -> None:
        rlimits.apply(rlimits.of_init(self.spec["rlimits"]))
        if self.spec["nice"]:
            os.nice(self.spec["nice"])
        # Many that wake at once must not push the kernel aside (sched(7)).
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        if self.spec["umask"] is not None:
            os.umask(self.spec["umask"])

    def _confine_files(self) -> None:
        if self.spec["landlock"] and "mnt" in self._kinds:
            rules = landlock.rules(self.spec, DEVICES)
            self._landlock = landlock.restrict(rules, scoped=self._scoped)

    def _filter_calls(self) -> None:
        """Filter everything from here on; the filter for programs is kept for them."""
        if not self.spec["seccomp"]:
            return
        filters = self.spec["filters"]
        if not filters:
            raise OSError(errno.EOPNOTSUPP, "there is no filter for this architecture")
        seccomp.load(binascii.a2b_base64(filters["sandbox"]))
        self._program_filter = binascii.a2b_base64(filters["programs"])

    def _serve(self) -> None:
        everybody: Population = Namespace() if "pid" in self._kinds else Descendants()
        sys.path.clear()  # nothing is ever imported from inside
        init = Init(self._channel, self.spec, everybody, self._report, self._program_filter)
        init.serve(self._started())

    def _started(self) -> tuple[int, int] | None:
        """The main program, if it is there already; see L{Init.serve}."""
        return None

    def _report(self) -> dict[str, Any]:
        """What has come of it all, once the main program runs."""
        now = namespaces.identities()
        return {
            "op": "ready",
            "namespaces": {kind: now[kind] != self._outside.get(kind) for kind in now},
            "seccomp": bool(self._program_filter) and seccomp.is_filtered(),
            "landlock": self._landlock,
        }


def perform(confinement: Confinement, channel: Channel) -> None:
    """Carry it out; a step that fails is told to the kernel."""
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
