"""Steps of a sandbox in the making, and what takes them in order.

Each way into a sandbox composes its own list of them: from a fresh process on the host to a
serving init (`helper.py`), from a child of the zygote to one (`zygote/child.py`), that of its main
program (`zygote/main_program.py`) and that of the zygote itself (`zygote/bootstrap.py`).
"""

from __future__ import annotations

import _socket
import binascii
import errno
import os
import sys

from clove.sandbox.inside import capabilities, landlock, namespaces, processors, rlimits, seccomp
from clove.sandbox.inside.control import MAX_FDS
from clove.sandbox.inside.egress_sockets import make_egress_sockets
from clove.sandbox.inside.init import Init
from clove.sandbox.inside.process_tree import Descendants, Namespace
from clove.sandbox.inside.root import DEVICES, PrivateRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from clove.sandbox.inside.control import Channel
    from clove.sandbox.inside.process_tree import ProcessTree

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

    def _confining(self) -> list[Step]:
        """What every process 1 does once it has no privileges, up to `serve`."""
        return [
            ("rlimits", self._set_limits),
            ("landlock", self._confine_files),
            ("seccomp", self._filter_calls),
            ("session", os.setsid),
            ("session", self._yield_processors),
        ]

    def _hand_out_sockets(self) -> None:
        """Give the kernel the sockets on which it answers for the network."""
        ports = self.spec["egress"]
        if ports is None or "net" not in self._kinds:
            return
        sockets = make_egress_sockets(ports)
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
            self._root.enter()

    def _leave_keyring(self) -> None:
        namespaces.new_session_keyring(filtered=self.spec["seccomp"])

    def _start_clocks(self) -> None:
        """Programs count the time since their sandbox began, not since the machine did."""
        if "time" in self._kinds:
            capabilities.show_memory()  # until they are dropped; a change of user hid it
            namespaces.start_clocks()

    def _limit_user(self) -> None:
        if self._root.sysctls < 0:
            return
        if "user" in self._kinds:
            namespaces.limit_user(self._root.sysctls, self.spec["user_limits"])
        os.close(self._root.sysctls)

    def _drop_privileges(self) -> None:
        if "user" in self._kinds:
            capabilities.drop_bounding()
        if "user" in self._kinds or self._is_root:
            capabilities.drop_current()
        capabilities.forbid_new_privileges()
        capabilities.hide_memory()

    def _set_limits(self) -> None:
        rlimits.apply(rlimits.of_init(self.spec["rlimits"]), self.spec["raisable"])
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

    def _yield_processors(self) -> None:
        """Have the agent's part of the processors from here on, and no more (`priority.py`)."""
        processors.narrow(self.spec["processors"])
        if self.spec["nice"]:
            os.nice(self.spec["nice"])
        # Many that wake at once must not push the kernel aside (sched(7)).
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    def _serve(self, start: Callable[[], tuple[int, int]] | None = None) -> None:
        """Be init until all is over.

        @param start: lets the main program run that is there already, and gives what
            L{Init.serve} takes; None: init starts it.
        """
        processes: ProcessTree = Namespace() if "pid" in self._kinds else Descendants()
        sys.path.clear()  # nothing is ever imported from inside
        init = Init(self._channel, self.spec, processes, self._report, self._program_filter)
        init.serve(start() if start is not None else None)

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
