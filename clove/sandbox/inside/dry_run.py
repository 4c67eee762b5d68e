"""Makes one dry run and prints what happened, in a process that is thrown away.

Run as `python -I -S -B dry_run.py JSON`, in a throw-away sandbox or on the host, with
one plan or an array of them; it prints a JSON object a line for each: `happened`
(succeeded, failed or not tried), `error` and `errno_name` for a failure, `detail`. Standard
library only, and nothing of Clove's: it is run by its path.

Nothing lasts: files are opened but neither read, written nor truncated; a missing
one is tried by one without a name (O_TMPFILE, open(2)) or that is removed; a program is executed and
killed before its first system call that does anything; a connection is closed
before a byte was sent.
"""

from __future__ import annotations

import binascii
import errno
import json
import os
import signal
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["REPORT", "dry_run", "main"]

SUCCEEDED, FAILED, NOT_TRIED = "succeeded", "failed", "not tried"
REPORT = 9
"""The descriptor to which a child may write once it is filtered; closed by an exec."""
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KINDS = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def succeeded(detail: str = "") -> dict[str, str]:
    """It went well."""
    return {"happened": SUCCEEDED, "detail": detail}


def failed(number: int, detail: str = "") -> dict[str, str]:
    """The operating system refused it."""
    name = errno.errorcode.get(number, str(number))
    error = os.strerror(number)
    return {"happened": FAILED, "error": error, "errno_name": name, "detail": detail}


def not_tried(detail: str) -> dict[str, str]:
    """It would not have been harmless, or cannot be tried here."""
    return {"happened": NOT_TRIED, "detail": detail}


# files


def _open(path: str, flags: int) -> dict[str, str]:
    """Open what a path leads to, if it is a file."""
    held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    kind = stat.S_IFMT(os.fstat(held).st_mode)
    if kind == stat.S_IFDIR:
        return failed(errno.EISDIR, "it is a directory")
    if kind != stat.S_IFREG:
        what = KINDS.get(kind, "special file")
        return not_tried(f"it is a {what}: opening it could disturb those that use it")
    os.close(os.open(f"/proc/self/fd/{held}", flags | os.O_CLOEXEC | os.O_NONBLOCK))
    return succeeded("the file could be opened")


def read(words: Mapping[str, Any]) -> dict[str, str]:
    """Open a file for reading; nothing is read."""
    return _open(words["path"], os.O_RDONLY)


def write(words: Mapping[str, Any]) -> dict[str, str]:
    """Open a file for writing, or make a nameless one where it would be."""
    append = os.O_APPEND if words.get("append") else 0
    try:
        return _open(words["path"], os.O_WRONLY | append)
    except FileNotFoundError:
        if words["path"].endswith("/"):
            return failed(errno.EISDIR, "it ends in a slash")
        directory = os.path.dirname(os.path.realpath(words["path"]))
        held = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return _make(held, directory)


def _make(held: int, directory: str) -> dict[str, str]:
    flags = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
    try:
        os.close(os.open(".", flags, 0o600, dir_fd=held))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        return _make_for_a_moment(held, directory)
    return succeeded("there is no such file; one without a name could be made in its place")


def _make_for_a_moment(held: int, directory: str) -> dict[str, str]:
    """Where a file system knows no nameless files: one with a name that is not taken."""
    name = f".clove-dry-run-{os.urandom(12).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(name, flags, 0o600, dir_fd=held))
    except OSError as error:
        return failed(error.errno or errno.EIO, directory)
    os.unlink(name, dir_fd=held)
    return succeeded("there is no such file; another one could be made and removed beside it")


# programs


def execute(words: Mapping[str, Any]) -> dict[str, str]:
    """Execute a program that is killed before it has done anything.

    Its process has a filter (`exec_filter.py`) under which it may do nothing but
    execute something and write to L{REPORT}; so SIGSYS without a report means that
    it was executed.
    """
    if not words.get("filter"):
        return not_tried("there is no system call filter for this machine")
    os.chdir(words["cwd"])
    programs = _candidates(words["program"])
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            _become(programs, binascii.a2b_base64(words["filter"]), writer)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if said:
        number, program = json.loads(said)
        if number == errno.ENOEXEC and words["shell"]:
            return succeeded(f"{program} was found; the shell reads it as a script")
        if number == errno.ENOENT and "/" not in words["program"]:
            return failed(number, f"in none of {_path()}")
        return failed(number, program)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGSYS, signal.SIGXCPU):
        return succeeded("the program was executed, and killed at its first step")
    return not_tried("the program could not be held at its first step")


def _candidates(program: str) -> list[str]:
    """Where a program may be, as execvp(3) looks for it."""
    if "/" in program:
        return [program]
    return [os.path.join(directory, program) for directory in _path().split(":")]


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def _become(programs: list[str], call_filter: bytes, writer: int) -> None:
    """In the child: become a program, or say why not. Allocates next to nothing late.

    @param call_filter: of L{clove.sandbox.seccomp.exec_filter}.
    """
    import ctypes
    import gc
    import resource
    import struct

    gc.disable()
    libc = ctypes.PyDLL(None, use_errno=True)
    candidates = [os.fsencode(path) for path in programs]
    names = [json.dumps(path).encode() for path in programs]
    arguments = (ctypes.c_char_p * 2)(candidates[0], None)
    environment = (ctypes.c_char_p * 1)(None)
    instructions = ctypes.create_string_buffer(call_filter, len(call_filter))
    header = ctypes.create_string_buffer(
        struct.pack("@HP", len(call_filter) // 8, ctypes.addressof(instructions))
    )
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1) if most else (0, 0))  # see rlimits.NO_CORE
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))  # for one that makes no system call at all
    os.dup2(writer, REPORT, inheritable=False)
    one, nothing = ctypes.c_ulong(1), ctypes.c_ulong(0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, one, nothing, nothing, nothing)
    mode = ctypes.c_ulong(SECCOMP_MODE_FILTER)
    if libc.prctl(PR_SET_SECCOMP, mode, header, nothing, nothing):
        os._exit(1)
    refused, where = errno.ENOENT, names[0]
    for candidate, name in zip(candidates, names):  # noqa: B905 as many of both
        libc.execve(candidate, arguments, environment)
        number = ctypes.get_errno()
        if number not in (errno.ENOENT, errno.ENOTDIR):
            refused, where = number, name
        if number not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            break
    os.write(REPORT, b"[%d,%s]" % (refused, where))


# hosts


def connect(words: Mapping[str, Any]) -> dict[str, str]:
    """Look a name up and connect to it.

    Where the kernel's gateway stands between, a connection seems to be made before
    it is judged: it is held until it breaks, and the kernel says when it stands.
    """
    import select
    import socket

    try:
        found = socket.getaddrinfo(words["host"], words["port"], type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        names = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}
        name = names.get(error.errno or 0, str(error.errno))
        return {"happened": FAILED, "error": error.strerror or "", "errno_name": name}
    last: dict[str, str] = {}
    for family, kind, protocol, _, address in found[:4]:
        with socket.socket(family, kind, protocol) as one:
            one.settimeout(words["seconds"] / 4)
            where = "" if words["gateway"] else str(address[0])
            try:
                one.connect(address)
            except OSError as error:
                last = failed(error.errno or errno.ETIMEDOUT, where)
                continue
            if not words["gateway"]:
                return succeeded(f"connected to {where}")
            waiting = select.poll()
            waiting.register(one, select.POLLIN)
            if not waiting.poll(words["seconds"] * 1000):
                return failed(errno.ETIMEDOUT, "neither connected nor refused in time")
            try:
                one.recv(1, socket.MSG_PEEK)
            except OSError as error:
                last = failed(error.errno or errno.EIO, where)
                continue
            return succeeded("the host was reached")
    return last or failed(errno.EADDRNOTAVAIL)


# itself


def powers(_: Mapping[str, Any]) -> dict[str, str]:
    """Find this process without capabilities and without a way to new ones (proc(5))."""
    with open("/proc/self/status") as file:
        facts = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    sets = {name: facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    held = [f"{name} {found}" for name, found in sets.items() if int(found, 16)]
    if held or facts["NoNewPrivs"] != "1":
        return failed(errno.EPERM, ", ".join(held) or "it can gain privileges")
    return succeeded("none in any set, and no way to new ones")


DRY_RUNS = {
    "READ": read,
    "WRITE": write,
    "EXEC": execute,
    "CONNECT": connect,
    "POWERS": powers,
}


def dry_run(words: Mapping[str, Any]) -> dict[str, str]:
    """Make one dry run.

    @param words: `what` (of L{DRY_RUNS}) and what its function takes.
    """
    try:
        return DRY_RUNS[words["what"]](words)
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else ""
        known = where.startswith("/proc/self/fd/") or where == words.get("path")
        shown = "" if known else where
        return failed(error.errno or errno.EIO, shown)


def main() -> None:
    """Make the dry runs of the command line, and print what happened."""
    asked = json.loads(sys.argv[1])
    for words in asked if isinstance(asked, list) else [asked]:
        sys.stdout.write(json.dumps(dry_run(words)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
