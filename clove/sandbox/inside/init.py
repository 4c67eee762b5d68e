"""The first process of a sandbox: starts programs, reaps, opens files, reports.

It has the agent's own identity and no capability, so nothing that is asked of
it can get more than the agent has; it is undumpable, so the agent cannot make
it do anything. All it does is asked over the control socket (`docs/sandbox.md`
lists the messages); when the socket ends, everything ends.
"""

from __future__ import annotations

import errno
import os
import select
import signal

from clove.sandbox.inside import held_path, program, rlimits, terminal
from clove.sandbox.inside.control import BadMessage
from clove.sandbox.inside.entry_requests import EntryRequests
from clove.sandbox.inside.inner_sockets import tcp_sockets
from clove.sandbox.inside.openat2 import MagicLink
from clove.sandbox.inside.watching import open_watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from clove.sandbox.inside.control import Channel
    from clove.sandbox.inside.process_tree import ProcessTree

__all__ = ["MAIN", "Init"]

MAIN = 0
"""The job number of the main program; commands have the kernel's numbers."""
STREAMS = 3
"""Descriptors that come with a command: stdin, stdout, stderr."""
SAME_FOR_ALL = ("/proc/cpuinfo", "/proc/filesystems", "/proc/meminfo", "/proc/version")
"""Files of procfs that say the same to every process. Most answer for the one that reads, which is
the kernel, in the host's namespaces: its host name, its time since boot, its process ids."""


class Init:
    """Serves one sandbox until its main program has ended.

    @param report: makes the message that the main program runs.
    """

    def __init__(
        self,
        channel: Channel,
        spec: Mapping[str, Any],
        processes: ProcessTree,
        report: Callable[[], dict[str, Any]],
        program_filter: bytes,
    ) -> None:
        self._channel = channel
        self._spec = spec
        self._processes = processes
        self._report = report
        self._program_filter = program_filter
        self._limits = rlimits.of_programs(spec["rlimits"])
        self._jobs: dict[int, int] = {}  # pid here to job number
        self._starting: dict[int, int] = {}  # descriptor of program.start to pid
        self._held: dict[int, Any] = {}  # Held and Entry
        self._entries = EntryRequests(self._held, spec["cwd"])
        self._poll = select.poll()
        self._warm = False
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self, started: tuple[int, int] | None = None) -> None:
        """Start the main program and serve until it, and then everything, is gone.

        @param started: what L{program.start} gives, of one that is there already.
        """
        null = program.open_null()
        if self._spec["namespaces"] and not self._spec["stdin"]:  # nothing else is handed on
            os.dup2(null, 0)
        if started is None:
            main = (self._spec["argv"], self._spec["env"], self._spec["cwd"])
            if self._spec["terminal"]:
                self._start_on_terminal(MAIN, *main, self._spec["terminal"])
            else:
                self._start(MAIN, *main, (0, 1, 2))
        else:
            self._warm = True
            self._watch(MAIN, *started)
            os.write(self._waker, b"\0")  # it may have ended before there was a handler
        for stream in (0, 1, 2):  # the agent's pipes are its own from now on
            os.dup2(null, stream)
        os.close(null)
        self._poll.register(self._channel.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll()]
            for descriptor in ready:
                if descriptor in self._starting:
                    self._started(descriptor)
            if self._wake in ready and self._reap():
                return
            if self._channel.fileno() in ready and not self._answer():
                self._processes.leave()
                return

    def _start(
        self,
        job: int,
        argv: list[str],
        env: Mapping[str, str],
        cwd: str,
        streams: tuple[int, ...],
        *,
        on_terminal: bool = False,
    ) -> None:
        confined = (self._program_filter, self._limits)
        facts = (self._channel, job, argv, env, cwd, streams, *confined)
        self._watch(job, *program.start(*facts, on_terminal=on_terminal))

    def _start_on_terminal(
        self, job: int, argv: list[str], env: Mapping[str, str], cwd: str, size: Sequence[int]
    ) -> None:
        """Start a program on a new terminal, whose other end the kernel gets."""
        outer, inner = terminal.open_pair(*size)
        try:
            self._channel.send({"op": "terminal", "id": job}, (outer,))
            self._start(job, argv, env, cwd, (inner,) * STREAMS, on_terminal=True)
        finally:
            os.close(outer)
            os.close(inner)

    def _watch(self, job: int, pid: int, reader: int) -> None:
        self._jobs[pid] = job
        self._starting[reader] = pid
        self._poll.register(reader, select.POLLIN)

    def _started(self, reader: int) -> None:
        """A program runs, or its exec failed."""
        self._poll.unregister(reader)
        pid = self._starting.pop(reader)
        job = self._jobs[pid]
        says_so = self._warm and job == MAIN and not self._spec.get("exec")
        reason = program.result(reader, warm=says_so)
        if reason is None:
            message = self._report() if job == MAIN else {"op": "started", "id": job}
            self._channel.send(message)
            return
        self._channel.send({"op": "failed" if job == MAIN else "refused", "id": job, **reason})
        if job != MAIN:
            del self._jobs[pid]

    def _reap(self) -> bool:
        """Collect the dead; true when everything is over."""
        os.read(self._wake, 4096)
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if dead is None:
                return False
            for reader, pid in list(self._starting.items()):
                if pid == dead.si_pid:
                    self._started(reader)
            job = self._jobs.get(dead.si_pid)
            if job is not None and job != MAIN:
                self._kill_group(dead.si_pid)  # its pid is not free before it is reaped
            _, status = os.waitpid(dead.si_pid, 0)
            self._jobs.pop(dead.si_pid, None)
            if job == MAIN:
                self._processes.kill()
            if job is not None:
                self._channel.send({"op": "exited", "id": job, **_ending(status)})
            if job == MAIN:
                return True

    def _answer(self) -> bool:
        """Do what one message asks; false when the kernel is gone."""
        try:
            received = self._channel.receive()
        except (BadMessage, ConnectionError):
            received = None
        if received is None:
            return False
        message, fds = received
        job = int(message.get("id", -1))
        try:
            self._perform(message["op"], job, message, fds)
        except held_path.ProcessEntry as error:
            self._refuse(job, "process", error)
        except MagicLink as error:
            self._refuse(job, "magic", error)
        except held_path.BadPath as error:
            self._channel.send({"op": "refused", "id": job, "step": "path", "text": str(error)})
        except OSError as error:
            self._refuse(job, "os", error)
        except Exception as error:  # a message that makes no sense ends nothing
            text = f"{type(error).__name__}: {error}"
            self._channel.send({"op": "refused", "id": job, "step": "internal", "text": text})
        finally:
            for descriptor in fds:
                os.close(descriptor)
        return True

    def _perform(self, op: str, job: int, message: Mapping[str, Any], fds: list[int]) -> None:
        if op == "signal":
            if message.get("main"):
                self._signal_main(message["signal"])
            else:
                self._processes.signal(message["signal"])
            self._channel.send({"op": "done", "id": job})
        elif op == "run":
            self._run(job, message, fds)
        elif op == "kill":
            for pid, number in self._jobs.items():
                if number == job:
                    self._kill_group(pid)
        elif op == "resolve":
            held = self._held[job] = self._resolve(message["path"])
            facts = {"path": held.path, "kind": held.kind, "size": held.size, "links": held.links}
            self._channel.send({"op": "resolved", "id": job, **facts})
        elif op in ("open", "watch"):
            held = self._held[message["handle"]]
            opened = held.open(message["flags"]) if op == "open" else open_watch(held)
            self._hand_over(job, [opened])
        elif op == "sockets":
            self._hand_over(job, tcp_sockets())
        elif op in EntryRequests.OPERATIONS:
            answer = self._entries.perform(op, job, message)
            self._channel.send({"op": "performed", "id": job, **answer})
        elif op == "close":
            forgotten = self._held.pop(message["handle"], None)
            if forgotten is not None:
                forgotten.close()

    def _hand_over(self, job: int, opened: Sequence[int]) -> None:
        """Answer with descriptors, which are closed here."""
        try:
            self._channel.send({"op": "opened", "id": job}, opened)
        except ConnectionError:
            raise
        except OSError as error:
            self._refuse(job, "send", error)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _signal_main(self, number: int) -> None:
        """@raise OSError: it runs a set-uid program."""
        for pid, job in self._jobs.items():  # it is this process's child: its pid is not another's
            if job == MAIN:
                os.kill(pid, number)

    def _run(self, job: int, message: Mapping[str, Any], fds: list[int]) -> None:
        size = message.get("terminal")
        if not size and len(fds) != STREAMS:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        env = {**self._spec["env"], **message["env"]}
        cwd = os.path.join(self._spec["cwd"], message["cwd"] or "")
        if size:
            self._start_on_terminal(job, message["argv"], env, cwd, size)
        else:
            self._start(job, message["argv"], env, cwd, tuple(fds))

    def _resolve(self, path: str) -> held_path.Held:
        held = held_path.resolve(path, self._spec["cwd"])
        foreign = held.proc and held.kind != "directory" and held.path not in SAME_FOR_ALL
        if foreign and self._spec["namespaces"]:
            held.close()
            raise held_path.ProcessEntry(errno.EACCES, "answers to its reader", path)
        return held

    def _refuse(self, job: int, step: str, error: OSError) -> None:
        self._channel.send(
            {"op": "refused", "id": job, "step": step, "errno": error.errno, "text": str(error)}
        )

    @staticmethod
    def _kill_group(pid: int) -> None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not come to setsid yet
            os.kill(pid, signal.SIGKILL)
        except PermissionError:  # a set-uid program is in it
            pass


def _ending(status: int) -> dict[str, int]:
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"code": os.WEXITSTATUS(status)}
