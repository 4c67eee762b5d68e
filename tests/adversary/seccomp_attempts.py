"""Run as an agent: system calls that must not work (row 9). Prints what happened as JSON.

Calls are made by number. Each attempt runs in a process of its own; its result
is what it returns, the name of the errno that stopped it, or of the signal.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import pty
import signal
import socket
import struct
import sys
import termios
from collections.abc import Callable

from clove.sandbox.seccomp.syscall_lists import ALLOWED, CHECKED, REFUSED
from clove.sandbox.seccomp.syscall_numbers import NUMBERS

facts = json.loads(sys.argv[-1])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
machine = os.uname().machine
numbers = NUMBERS[machine]
results: dict[str, object] = {}
HIGH_BITS = 0x1234_0000_0000


def syscall(number: int, *args: object) -> str:
    words = [ctypes.c_ulong(arg & (1 << 64) - 1) if isinstance(arg, int) else arg for arg in args]
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "done"


def attempt(name: str, function: Callable[..., object], *args: object) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        result: object
        try:
            result = function(*args)
        except OSError as error:
            result = errno.errorcode.get(error.errno or 0, str(error))
        except BaseException as error:
            result = repr(error)
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    ended = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None
    results[name] = json.loads(text) if text else ended


def call(name: str, *args: object) -> None:
    """An attempt that would do something useful if it were let through."""
    if name in numbers:
        attempt(name, syscall, numbers[name], *args)


def everything_refused() -> dict[str, str]:
    """Every call that is refused, with arguments that are wrong for all of them."""
    found = {}
    for name in REFUSED & set(numbers):
        try:
            found[name] = syscall(numbers[name], *[-1] * 6)
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
    return found


def everything_unknown() -> dict[str, str]:
    """Every number that no list has."""
    known = {numbers[name] for name in ALLOWED | REFUSED | set(CHECKED) if name in numbers}
    found = {}
    for number in sorted(set(range(700)) - known):
        try:
            found[str(number)] = syscall(number, *[-1] * 6)
        except OSError as error:
            found[str(number)] = errno.errorcode[error.errno or 0]
    return {number: result for number, result in found.items() if result != "ENOSYS"}


def machine_code(code: bytes) -> object:
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def new_process(flags: int) -> object:
    """clone(2), raw: the child, if there is one, ends at once."""
    pid = libc.syscall(
        ctypes.c_long(numbers["clone"]), ctypes.c_ulong(flags), None, None, None, None
    )
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "")
    return "done"


def open_socket(family: int, kind: int, protocol: int) -> str:
    return syscall(numbers["socket"], family, kind, protocol)


def control(descriptor: int, request: int, argument: bytes) -> str:
    return syscall(numbers["ioctl"], descriptor, request, argument)


def file_with_mode(path: str, mode: int) -> object:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    return os.fstat(descriptor).st_mode


def openat2_with_mode(path: bytes, mode: int) -> object:
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, mode, 0)
    return syscall(437, -100, path, bytes(how), 24)


def changed_mode(name: str, mode: int) -> object:
    path = b"/workspace/mode"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    if name == "fchmod":
        return syscall(numbers[name], os.open(path, os.O_RDONLY), mode)
    if name == "chmod":
        return syscall(numbers[name], path, mode)
    return syscall(numbers[name], -100, path, mode, 0)


def on_terminal(function: Callable[[int], object]) -> object:
    """Do something with a terminal of one's own, which controls it."""
    _, terminal = pty.openpty()
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    return function(terminal)


buffer = ctypes.create_string_buffer(4096)
vector = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 16)
local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer) + 64, 16)

# Second doors: each would work, or fail otherwise, without the filter.
for name, number in (("io_uring_setup", 425), ("io_uring_enter", 426), ("io_uring_register", 427)):
    attempt(name, syscall, number, 4, buffer, 0, 0, None, 0)
call("ptrace", 0, 0, 0, 0)  # PTRACE_TRACEME
call("process_vm_readv", os.getpid(), bytes(local), 1, bytes(vector), 1, 0)
call("process_vm_writev", os.getpid(), bytes(local), 1, bytes(vector), 1, 0)
call("pidfd_getfd", os.pidfd_open(os.getpid()), 0, 0)
call("kcmp", os.getpid(), os.getpid(), 0, 0, 0)
call("userfaultfd", 1)
call("bpf", 0, buffer, 128)
call("perf_event_open", buffer, 0, -1, -1, 0)
call("keyctl", 0, -3, 1)
call("add_key", b"user", b"clove", b"x", 1, -2)
call("request_key", b"user", b"clove", None, -2)
call("fsopen", b"tmpfs", 0)
call("open_tree", -100, b"/workspace", 0)
call("move_mount", -100, b"/workspace", -100, b"/tmp", 0)
call("fspick", -100, b"/", 0)
call("mount_setattr", -100, b"/", 0, buffer, 32)
call("mount", b"none", b"/tmp", b"tmpfs", 0, None)
call("umount2", b"/tmp", 2)
call("pivot_root", b"/tmp", b"/tmp")
call("chroot", b"/tmp")
call("setns", os.open("/proc/self/ns/mnt", os.O_RDONLY), 0)
call("name_to_handle_at", -100, b"/workspace", buffer, buffer, 0)
call("open_by_handle_at", -100, buffer, 0)
call("modify_ldt", 0, buffer, 64)
call("fanotify_init", 0x200, 0)
call("quotactl", 0x80000100, None, 0, buffer)
call("syslog", 10, None, 0)
call("clock_settime", 0, bytes(16))
call("settimeofday", bytes(16), None)
call("adjtimex", buffer)
clone_arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)  # a user namespace
attempt("clone3", syscall, 435, bytes(clone_arguments), 88)
attempt("memfd_secret", syscall, 447, 0)
slices = struct.pack("=IIQiIQQQ", 48, 0, 0, 0, 0, 100_000, 0, 0)
attempt("sched_setattr", syscall, {"x86_64": 314}.get(machine, 274), 0, slices, 0)
attempt("vmsplice", syscall, {"x86_64": 278}.get(machine, 75), os.pipe()[1], bytes(vector), 1, 0)

for name, flag in facts["namespaces"].items():
    attempt(f"unshare {name}", syscall, numbers["unshare"], flag)
    attempt(f"unshare {name}, high bits", syscall, numbers["unshare"], flag | HIGH_BITS)
    if name != "time":
        attempt(f"clone {name}", new_process, flag | 17)
        attempt(f"clone {name}, high bits", new_process, flag | 17 | HIGH_BITS)
attempt("clone without namespaces", new_process, 17)

for name, (family, kind, protocol) in facts["sockets"].items():
    attempt(name, open_socket, family, kind, protocol)
    attempt(f"{name}, high bits", open_socket, family | HIGH_BITS, kind | HIGH_BITS, protocol)
    attempt(f"{name}, a pair", syscall, numbers["socketpair"], family, kind, protocol, buffer)

with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
    attempt("TCP_ULP", stream.setsockopt, 6, 31, b"tls")
    attempt("UDP_ENCAP", datagram.setsockopt, 17, 100, 2)
    attempt("TCP_NODELAY", stream.setsockopt, 6, 1, 1)

connection, _ = socket.socketpair()
accept_all = struct.pack("HBBI", 0x06, 0, 0, 0xFFFF)  # BPF_RET
accepting = ctypes.create_string_buffer(accept_all)
filter_of_one = struct.pack("HxxxxxxQ", 1, ctypes.addressof(accepting))
attempt("a filter on a socket", connection.setsockopt, 1, 26, filter_of_one)
attempt("a filter among sockets", connection.setsockopt, 1, 51, filter_of_one)
attempt("pidfd of the peer", connection.getsockopt, 1, 77)
attempt("pidfds with messages", connection.setsockopt, 1, 76, 1)
attempt("credentials of the peer", lambda: len(connection.getsockopt(1, 17, 12)))

HUGE = mmap.MAP_ANONYMOUS | mmap.MAP_PRIVATE | 0x40000
attempt("huge pages", lambda: len(mmap.mmap(-1, 1 << 21, flags=HUGE)))
attempt("huge pages in a file", syscall, numbers["memfd_create"], b"x", 4)
attempt("huge pages of System V", syscall, numbers["shmget"], 0, 1 << 21, 0o4600)
attempt("memory", lambda: len(mmap.mmap(-1, 1 << 21)))

attempt("no random addresses", syscall, numbers["personality"], 0x0040000)
attempt("everything executable", syscall, numbers["personality"], 0x0400000 | HIGH_BITS)
attempt("personality asked", syscall, numbers["personality"], 0xFFFFFFFF)

with open("/workspace/leased", "wb") as leased:
    attempt("a lease", fcntl.fcntl, leased.fileno(), fcntl.F_SETLEASE, fcntl.F_WRLCK)
    attempt("a lock", fcntl.lockf, leased, fcntl.LOCK_EX)
attempt("a watch on a directory", fcntl.fcntl, os.open("/workspace", 0), fcntl.F_NOTIFY, 1)

for name, request in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541C), ("TIOCSETD", 0x5423)):
    attempt(name, control, 0, request, b"\x02\0\0\0")
    attempt(f"{name}, high bits", control, 0, request | HIGH_BITS, b"\x02\0\0\0")
    attempt(
        f"{name} on a terminal", on_terminal, lambda tty, n=request: control(tty, n, b"\2x\0\0")
    )
attempt("a terminal", on_terminal, os.isatty)

attempt("character device", os.mknod, "/workspace/device", 0o020600, os.makedev(1, 3))
attempt("block device", os.mknod, "/workspace/device", 0o060600, os.makedev(8, 0))
attempt("whiteout", os.mknod, "/workspace/device", 0o020600, 0)
attempt("set-id node", os.mknod, "/workspace/device", 0o104755)
attempt("set-id file", file_with_mode, "/workspace/set-id", 0o4755)
attempt("set-id file by openat2", openat2_with_mode, b"/workspace/set-id", 0o4755)
for name in ("chmod", "fchmod", "fchmodat"):
    if name in numbers:
        attempt(f"{name} set-uid", changed_mode, name, 0o4755)
        attempt(f"{name} set-gid", changed_mode, name, 0o2755)
attempt("fchmodat2 set-uid", syscall, 452, -100, b"/workspace", 0o4755, 0)

if machine == "x86_64":
    for number in (39, 41, 101, 520, 521, 545):  # the last three are of x32 alone
        attempt(f"x32 {number}", syscall, number | 0x40000000, 0, 0, 0, 0)
        attempt(f"x32 {number}, high bits", syscall, number | 0x40000000 | HIGH_BITS, 0, 0, 0, 0)
    for number in (20, 102, 1):  # getpid, socketcall, exit of i386
        attempt(
            f"i386 {number}", machine_code, b"\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\xc3"
        )
    attempt("machine code", machine_code, b"\xb8\x07\0\0\0\xc3")

attempt("everything refused", everything_refused)
attempt("everything unknown", everything_unknown)
with open("/proc/self/status") as status:
    rows = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
results["mode"] = rows["Seccomp"]
print(json.dumps(results))
