"""The frame of a program of attempts: each in a process of its own, its outcome told as JSON.

An outcome is what the attempt returns, or the name of the errno or signal that stopped it.
Programs of attempts import from here; the arena puts this text in the import's place, because
an agent is one file.
"""

import ctypes
import errno
import json
import os
import signal
import sys
from collections.abc import Callable

Attempt = Callable[[], object]

facts = json.loads(sys.argv[-1]) if sys.argv[-1].startswith("{") else {}
libc = ctypes.CDLL(None, use_errno=True)
attempts: dict[str, Attempt] = {}
_pipe = -1


def attempt(function: Attempt) -> Attempt:
    attempts[function.__name__] = function
    return function


def check(result: int) -> str:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return "done"


def syscall(number: int, *args: int | bytes | None) -> str:
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return check(libc.syscall(ctypes.c_long(number), *words))


def opened(path: str, flags: int = os.O_RDONLY) -> str:
    descriptor = os.open(path, flags)
    data = os.read(descriptor, 64) if flags == os.O_RDONLY else b""
    os.close(descriptor)
    return f"opened, {len(data)} bytes"


def descriptors_held() -> list[int]:
    """The descriptors of this process, but the one that its outcome is told by."""
    own = os.open("/proc/self/fd", os.O_RDONLY)
    names = {int(name) for name in os.listdir(own)} - {own, _pipe}
    return sorted(name for name in names if os.path.exists(f"/proc/self/fd/{name}"))


def status_of(pid: str = "self") -> dict[str, str]:
    """The rows of /proc/PID/status."""
    with open(f"/proc/{pid}/status") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def perform(function: Attempt) -> object:
    global _pipe
    reader, _pipe = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        result: object
        try:
            result = function()
        except OSError as error:
            result = errno.errorcode.get(error.errno or 0, str(error))
        except BaseException as error:
            result = f"{type(error).__name__}: {error}"
        os.write(_pipe, json.dumps(result).encode())
        os._exit(0)
    os.close(_pipe)
    with open(reader, "rb") as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    if text:
        return json.loads(text)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None


def report() -> None:
    """Make every attempt, in order, and print the outcomes."""
    print(json.dumps({name: perform(function) for name, function in attempts.items()}))
