"""From a fork to a program: the last steps before exec, the same for everything."""

from __future__ import annotations

import errno
import json
import os
import signal

from clove.sandbox.inside import capabilities, openat2, rlimits, seccomp, terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    from clove.sandbox.inside.control import Channel

__all__ = [
    "RUNS",
    "change_directory",
    "execute",
    "fail",
    "open_null",
    "reset_signals",
    "result",
    "start",
]


NO_LIMITS: Mapping[str, int] = {}
RUNS = b"+"
"""What a process says that runs a program without an exec; see L{result}."""


def start(
    channel: Channel,
    job: int,
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    streams: Sequence[int],
    call_filter: bytes = b"",
    limits: Mapping[str, int] = NO_LIMITS,
    *,
    on_terminal: bool = False,
) -> tuple[int, int]:
    """Fork a process that becomes the program, in a new session.

    It tells the kernel its job number itself, and so its host pid, by the socket's credentials.

    @param streams: descriptors for stdin, stdout and stderr.
    @param call_filter: for seccomp(2), on top of the caller's own; empty: none.
    @param limits: resource limits beside the caller's own, see L{rlimits.of_programs}.
    @param on_terminal: the streams are a terminal, which is to control the program.
    @return: its pid here, and a descriptor that ends when the program runs or
        else gives the reason why it doesn't; see L{result}.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        capabilities.die_with_parent()
        if os.getppid() != parent:
            os._exit(127)
        os.setsid()
        if on_terminal:
            terminal.control(streams[0])
        channel.send({"op": "pid", "id": job})
        _become(argv, env, cwd, streams, call_filter, limits, writer)
    except Exception as error:
        fail(writer, "session", error)


def _become(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    streams: Sequence[int],
    call_filter: bytes,
    limits: Mapping[str, int],
    writer: int,
) -> NoReturn:
    """Take the last steps and become the program; see L{start}."""
    step = "session"
    try:
        for target, descriptor in enumerate(streams):
            os.dup2(descriptor, target)
        step = "cwd"
        change_directory(cwd)
        step = "rlimits"
        rlimits.apply(limits)
        step = "seccomp"
        if call_filter:
            seccomp.load(call_filter)
        step = "exec"
        reset_signals()
        execute(argv, env)
    except Exception as error:
        fail(writer, step, error)


def change_directory(path: str) -> None:
    """Go to an absolute path, by no magic link: descriptors of this process are not the program's.

    @raise OSError: ELOOP for a magic link, else as open(2) gives it.
    """
    descriptor = openat2.hold(path)
    try:
        os.fchdir(descriptor)
    finally:
        os.close(descriptor)


def fail(writer: int, step: str, error: Exception) -> NoReturn:
    """Say why a program does not run, and end.

    @param writer: the other end of what L{result} reads.
    """
    number, text = errno.EINVAL, str(error)
    if isinstance(error, OSError):
        number, text = error.errno or 0, os.strerror(error.errno or 0)
    try:
        os.write(writer, json.dumps({"step": step, "errno": number, "text": text}).encode())
    finally:
        os._exit(127)


def execute(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Become a program, looked up in the PATH that it is given, like execvpe(3).

    @raise OSError: EACCES if a file on the PATH may not be run, else the last one.
    """
    if "/" in argv[0]:
        os.execve(argv[0], [*argv], env)  # noqa: S606
    refused = None
    for directory in env.get("PATH", os.defpath).split(":"):
        try:
            os.execve(os.path.join(directory, argv[0]), [*argv], env)  # noqa: S606
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            refused = error
    raise refused or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def result(reader: int, *, warm: bool = False) -> dict[str, Any] | None:
    """Why a program does not run, or None if it does. Closes the descriptor.

    @param warm: it says L{RUNS} when it does. Otherwise an exec closes the other end.
    """
    try:
        text = os.read(reader, 4096)
    finally:
        os.close(reader)
    if text == (RUNS if warm else b""):
        return None
    if not text:
        return {"step": "start", "errno": errno.ECHILD, "text": "the process has ended"}
    reason = json.loads(text)
    return reason if isinstance(reason, dict) else {"step": "exec", "errno": errno.EIO, "text": ""}


def reset_signals() -> None:
    """Every signal to its default, none blocked."""
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):  # the C library's own
                continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def open_null() -> int:
    """/dev/null as this process sees it, for reading and writing."""
    return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
