"""The process of an agent's main program, made before it is known what will run in it.

A child of the zygote forks it while it waits for a spec. It follows process 1
into what that enters, and confines itself as that does, beside it: so a start
waits for no fork, and for no pages that a fork leaves to be copied.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import os

from clove.sandbox.inside import capabilities, namespaces, program, rlimits, seccomp, syscalls
from clove.sandbox.inside.confinement import Confinement
from clove.sandbox.inside.control import Channel
from clove.sandbox.inside.init import MAIN
from clove.sandbox.inside.zygote.script import Script
from clove.sandbox.inside.zygote.warm_up import warm_up_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

    from clove.sandbox.inside.confinement import Step

__all__ = ["MainProgram", "fork"]


class MainProgram:
    """The waiting process, as process 1 holds it.

    @ivar link: takes what process 1 has to say: the kernel's spec first.
    @ivar started: pid, and a descriptor that tells when the program runs; see
        L{program.result}.
    """

    def __init__(self, link: Channel, started: tuple[int, int]) -> None:
        self.link = link
        self.started = started

    def admit(self, stdin: int) -> None:
        """Let it follow into the user and time namespaces that this process has made.

        @param stdin: what it reads, to be handed on; -1: nothing.
        """
        opened = namespaces.open_own(("user", "time"))
        if stdin >= 0:
            opened = [*opened, stdin]
        self._tell({"root": _identity("/")}, opened)
        for descriptor in opened:
            os.close(descriptor)

    def run(self, landlock: int) -> None:
        """Process 1 is confined: let the program run as soon as it is so as well.

        @param landlock: the ABI that holds process 1.
        """
        self._tell({"landlock": landlock})
        self.link.close()

    def _tell(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        with contextlib.suppress(ConnectionError):  # it has failed; L{program.result} says why
            self.link.send(message, fds)


def fork(kernel: Channel, path: Sequence[str], others: Callable[[], None]) -> MainProgram | Script:
    """Fork it; gives the script in it, when that is to be run.

    @param kernel: is told its pid; see L{program.start}.
    @param path: see L{Script}.
    @param others: see L{warm_up_parts}.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        theirs.close()
        os.close(writer)
        return MainProgram(Channel(ours.detach()), (pid, reader))
    try:
        kernel.send({"op": "pid", "id": MAIN})
        kernel.detach()
        ours.close()
        return _wait(Channel(theirs.detach()), writer, path, others)
    except BaseException:
        os._exit(1)


def _wait(link: Channel, writer: int, path: Sequence[str], others: Callable[[], None]) -> Script:
    """Be it, until the script is to be run; whatever is wrong is the end of it.

    @param link: to process 1.
    @param writer: see L{program.result}.
    """
    for part in warm_up_parts(path, others):
        if link.has_something():  # the spec has come
            break
        part()
    received = link.receive()
    if received is None:  # process 1 has ended without a spec
        os._exit(0)
    start = MainStart(link, received[0], path)
    try:
        start.run()
        if start.executes:
            start.step = "exec"
            _execute(start.spec, writer)
        os.write(writer, program.RUNS)
    except Exception as error:
        program.fail(writer, start.step, error)
    link.detach()
    return start.script


def _execute(spec: Mapping[str, Any], writer: int) -> NoReturn:
    """Become a program that is no script of this interpreter's.

    @param writer: closed by the exec; kept as the only descriptor beside the standard ones.
    @raise OSError: there is no such program, or it cannot be run.
    """
    os.dup2(writer, 3, inheritable=False)
    syscalls.close_from(4)
    program.reset_signals()
    try:
        program.execute(spec["argv"], spec["env"])
    except Exception as error:
        program.fail(3, "exec", error)


def _identity(path: str) -> list[int]:
    facts = os.stat(path)
    return [facts.st_dev, facts.st_ino]


class MainStart(Confinement):
    """The steps that process 1 has not taken for it already.

    Until it has joined process 1 it is in the host's root, with rights in the
    zygote's user namespace: nothing that the spec says is followed before.

    Landlock's rules are the same for both, but in two domains: with scopes, neither
    of them (and so no command) could signal the other. The namespaces keep signals
    and abstract sockets inside.

    @param link: to process 1.
    @param spec: as process 1 has it.
    @param path: see L{Script}.
    @ivar script: what is to be run, unless it
    @ivar executes: another program.
    """

    def __init__(self, link: Channel, spec: Mapping[str, Any], path: Sequence[str]) -> None:
        super().__init__(link, spec, {})
        self._scoped = False
        self._stdin = -1
        self.executes = bool(spec.get("exec"))
        self.script = Script(spec["argv"], spec["env"], path)

    def _steps(self) -> list[Step]:
        return [
            ("user", self._follow),
            ("capabilities", self._drop_privileges),
            ("capabilities", capabilities.die_with_parent),  # the change of user has undone it
            ("rlimits", self._set_limits),
            ("rlimits", lambda: rlimits.apply(rlimits.of_programs(self.spec["rlimits"]))),
            ("landlock", self._confine_files),
            ("streams", self._open_streams),
            ("cwd", lambda: program.change_directory(self.spec["cwd"])),
            ("seccomp", self._filter_calls),
            ("seccomp", lambda: seccomp.load(self._program_filter)),
            ("script", self._introduce),
            ("session", os.setsid),
            ("session", self._yield_processors),
            ("start", self._await_go),
        ]

    def _follow(self) -> None:
        """Wait for process 1 to have its namespaces, and join them."""
        received = self._channel.receive()
        if received is None:  # it has failed, and said why
            os._exit(1)
        message, opened = received
        if _identity("/") != message["root"]:
            raise OSError(errno.ESTALE, "the root of process 1")
        namespaces.become_user(self.spec["inside_uid"])
        if self.spec["stdin"]:
            self._stdin = opened.pop()
        for descriptor in opened:
            namespaces.join(descriptor)
            os.close(descriptor)

    def _open_streams(self) -> None:
        """The others have been the agent's pipes since the fork; stdin without one is the sandbox's null."""
        first = program.open_null() if self._stdin < 0 else self._stdin
        os.dup2(first, 0)
        os.close(first)

    def _introduce(self) -> None:
        """Take on what the script has from the start, if it is to be one."""
        if not self.executes:
            self.script.check()
            self.script.introduce()

    def _await_go(self) -> None:
        """Not a line of the agent's runs before process 1 is confined as well."""
        received = self._channel.receive()
        if received is None:
            os._exit(1)
        message, _ = received
        if self._landlock < message["landlock"]:
            raise OSError(errno.EPERM, "Landlock")
