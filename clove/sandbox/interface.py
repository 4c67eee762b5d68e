"""What the kernel sees of where programs run: the host or a sandbox.

Two real implementations: `clove.sandbox.host` (the kernel's own view) and
`clove.sandbox.launcher` (inside an agent's namespaces, through its init).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from clove.sandbox.reading_time import ReadingTime
from clove.sandbox.spec import OnHost
from clove.sandbox.taker import Taker

__all__ = [
    "REMARK",
    "Command",
    "ExitStatus",
    "Facts",
    "IEntry",
    "IFile",
    "IOutputs",
    "IRunning",
    "ISandbox",
    "ITerminal",
    "IView",
    "Output",
]

Output = Callable[[int, bytes], None]
"""Takes (1 for stdout or 2 for stderr, bytes), and of an agent's (L{REMARK}, bytes)."""

REMARK = 0
"""Instead of a stream's number: it is what the kernel itself has to say in an agent's output."""


class ExitStatus(msgspec.Struct, frozen=True):
    """How a process ended: exactly one of the two is set (wait(2)).

    @ivar reason: why, if the launcher knows more than the status says
        ("oom", "pids"), else empty.
    """

    code: int | None = None
    signal: int | None = None
    reason: str = ""


class Command(msgspec.Struct, frozen=True):
    """A program to run in a view.

    @ivar cwd: None for the view's own working directory.
    @ivar env: added to the view's own environment.
    @ivar stdin: what it reads, to the end.
    @ivar stdin_from: a descriptor that it reads from instead, which the caller closes.
    @ivar terminal: rows and columns of one that it runs on; None: it has pipes.
    """

    argv: tuple[str, ...]
    cwd: str | None = None
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    stdin: bytes = b""
    stdin_from: int | None = None
    terminal: tuple[int, int] | None = None


class ITerminal(Interface):
    """The kernel's end of a terminal that a program runs on."""

    waiting: int = Attribute("Bytes that wait to be typed.")
    over: bool = Attribute("Nothing more is written there, or read.")

    def resize(rows: int, columns: int) -> None:
        """Tell the program another size."""

    def type(data: bytes) -> None:
        """Have the program read some bytes."""

    def when_typed() -> Deferred[None]:
        """Fires when nothing waits to be typed, or it is over."""


class IOutputs(Interface):
    """Stdout and stderr of a program, as they are read."""

    terminal: ITerminal | None = Attribute("What it has instead of them, if it runs on one.")

    def hold(hold: bool) -> None:
        """Stop reading both for now, or go on; a flood waits in the pipes."""

    def stall(stream: int, stall: bool) -> None:
        """Stop reading one, or go on; what it has when the program ends is read at once."""

    def widen() -> None:
        """Take more at once: something is waiting for all of it."""

    def divert(taker: Taker | None) -> None:
        """Have something else take the bytes out of their pipes; on a terminal they are read as usual."""

    def read_in(time: ReadingTime) -> None:
        """Read in a family's time from now on."""

    def close_stream(stream: int) -> None:
        """Read no more of one: the next write to it fails with EPIPE. Idempotent."""


class Facts(NamedTuple):
    """What is known of a file without opening it.

    @ivar kind: file, directory, link, fifo, socket or device.
    @ivar size: bytes.
    @ivar mode: permission bits.
    @ivar modified: seconds since the epoch.
    @ivar links: how many names it has.
    """

    kind: str
    size: int
    mode: int
    modified: float
    links: int


class IRunning(Interface):
    """A command that runs. It is alone in a new session."""

    pid: int = Attribute("Process id as the host sees it, or 0 if unknown.")
    outputs: IOutputs = Attribute("What it writes.")
    done: Deferred[ExitStatus] = Attribute(
        "Fires when the process has ended and its output is closed or drained."
    )

    def kill() -> None:
        """SIGKILL to the whole process group. Harmless when it is over."""


class IFile(Interface):
    """A path that was resolved to what is really there, and is held (O_PATH)."""

    path: str = Attribute("Absolute real path as the view sees it, links resolved.")
    kind: str = Attribute("file, directory, fifo, socket, device or missing (its parent is held).")
    size: int = Attribute("Bytes, for a file.")
    links: int = Attribute("Number of hard links, for a file.")

    def open(flags: int) -> Deferred[int]:
        """Open what is held. For `missing`, flags must hold O_CREAT (then O_EXCL is implied).

        @return: Deferred of a descriptor, which the caller closes.
        @raise NotFound, PermissionDenied (the OS's own, rule `os`), InvalidRequest.
        """

    def opener(flags: int) -> Deferred[Callable[[], int]]:
        """What opens it later, once, in a thread; for callers with more to do there.

        @return: Deferred of a blocking function that gives a descriptor, which its
            caller closes. It must be called before L{close}; it raises as L{open} does.
        """

    def facts(names: Sequence[str] | None = None) -> Deferred[list[Facts | None]]:
        """What it is now; with names, what these are in the directory that it is.

        Links are not followed. None: it is gone, or may not be looked at.

        @raise NotFound: without names, there is nothing.
        """

    def watch() -> Deferred[int]:
        """A descriptor that tells what changes in it (inotify(7)), for the caller to close.

        @raise InvalidRequest: it is no directory. @raise Unavailable: there are too many.
        """

    def close() -> None:
        """Release it. Idempotent."""


class IEntry(Interface):
    """The last name of a path, not followed, in a directory that is held."""

    path: str = Attribute("Absolute real path as the view sees it, links before the name resolved.")

    def facts() -> Deferred[tuple[Facts, str]]:
        """What it is, and where it leads, if it is a link.

        @raise NotFound: there is nothing.
        """

    def make_directory(mode: int) -> Deferred[None]:
        """Make a directory of this name. @raise AlreadyExists, PermissionDenied."""

    def rename(to: IEntry, *, replace: bool) -> Deferred[None]:
        """Move it there in one step; both are of the same view.

        @param replace: also over what is there.
        @raise AlreadyExists, PermissionDenied, InvalidRequest: (EXDEV) from mount to mount.
        """

    def remove(most: int, *, recursive: bool) -> Deferred[tuple[int, bool]]:
        """Remove it, a directory only if it is empty, or with all in it (but what is mounted there).

        @param most: names that are removed at most.
        @return: how many were, and whether it is gone: else call it again.
        """

    def close() -> None:
        """Release it. Idempotent."""


class IView(Interface):
    """A file system and a set of processes, as one agent sees them."""

    def resolve(path: str) -> Deferred[IFile]:
        """Resolve a path (relative: to the view's working directory) with openat2.

        Links are followed, magic links (/proc/*/fd, /proc/*/root) are refused.

        @raise NotFound: even its directory is missing.
        @raise InvalidRequest: no path at all.
        @raise PermissionDenied: by the operating system, or a magic link.
        """

    def enter(path: str) -> Deferred[IEntry]:
        """Hold the directory of a path's last name, as L{resolve} does, and the name.

        @raise InvalidRequest: it does not end in a name.
        """

    def on_host(path: str) -> OnHost | None:
        """Where what is at a real path of this view lies on the host, by the view's mounts.

        @return: None: the view has it to itself, as its private /tmp.
        """

    def run(command: Command, output: Output) -> Deferred[IRunning]:
        """Start a command; fires when it runs.

        @raise NotFound: no such program or cwd.
        """


class ISandbox(IView):
    """An agent's main process with everything it started."""

    pid: int = Attribute("Host pid of the agent's main process.")
    processes: tuple[int, ...] = Attribute(
        "Host pids of its main process, process 1 and helper, as long as they live."
    )
    done: Deferred[ExitStatus] = Attribute("Fires when all of it is gone.")
    outputs: IOutputs = Attribute("Its main process's stdout and stderr.")

    def terminate() -> None:
        """SIGTERM to every process of the agent. A paused one is continued first."""

    def kill() -> None:
        """SIGKILL to every process of the agent, paused or not."""

    def signal(number: int) -> Deferred[None]:
        """Send a signal to the main program alone.

        @raise Unavailable: it has ended. @raise CloveError: it takes none from the kernel.
        """

    def open_sockets() -> Deferred[list[int]]:
        """TCP sockets in its network, for the caller to close: one for IPv4, perhaps one for IPv6.

        What comes from inside is not believed: the caller looks at what it got.

        @raise Unavailable: it has ended. @raise CloveError: there can be none.
        """

    def pause() -> Deferred[None]:
        """Stop every process of the agent (cgroup freezer, else SIGSTOP)."""

    def resume() -> Deferred[None]:
        """Continue them."""
