"""Namespaces: entering them, naming what was really entered, what goes with them."""

from __future__ import annotations

import _socket
import contextlib
import errno
import fcntl
import functools
import os
import struct
import time

from clove.sandbox.inside import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "FLAGS",
    "INSIDE_ID",
    "become_inside_user",
    "become_user",
    "enter",
    "enter_mapped",
    "identities",
    "join",
    "learn_shares",
    "limit_user",
    "new_session_keyring",
    "open_own",
    "own_start",
    "raise_loopback",
    "start_clocks",
    "write_id_map",
]

FLAGS = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
}
"""CLONE_NEW* of each kind (namespaces(7))."""

INSIDE_ID = 1000
"""The one uid and gid that exists inside a sandbox's user namespace."""

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

SHARES = 8
"""A user namespace gets one of so many parts of what the host gives a user, at most."""
HOST_LIMITS = {
    "max_inotify_instances": "fs/inotify/max_user_instances",
    "max_inotify_watches": "fs/inotify/max_user_watches",
}
"""Limits of a user namespace (namespaces(7)) to the host's for each user (inotify(7)), in /proc/sys."""

KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
KEYCTL_JOIN_SESSION_KEYRING = 1


def enter(kinds: Collection[str]) -> None:
    """Move into new namespaces; for `pid` it is the next child that does.

    @raise OSError: EPERM, ENOSPC (a limit of /proc/sys/user) and others of unshare(2).
    """
    flags = 0
    for kind in kinds:
        flags |= FLAGS[kind]
    if flags:
        syscalls.unshare(flags)


def open_own(kinds: Collection[str]) -> list[int]:
    """Descriptors of the namespaces that this process is in, or its children will be.

    Kinds that the kernel is built without are left out.
    """
    found = []
    for kind in kinds:
        with contextlib.suppress(FileNotFoundError):
            found.append(os.open(f"/proc/self/ns/{_entry(kind)}", os.O_RDONLY | os.O_CLOEXEC))
    return found


def join(namespace: int) -> None:
    """Move into a namespace that is there.

    @param namespace: a descriptor of it.
    @raise OSError: not the right to, and others of setns(2).
    """
    syscalls.setns(namespace)


def identities() -> dict[str, str]:
    """Kind to the name of the namespace that this process is in, or its children will be."""
    found = {}
    for kind in FLAGS:
        try:
            found[kind] = os.readlink(f"/proc/self/ns/{_entry(kind)}")
        except FileNotFoundError:  # the kernel is built without this kind
            continue
    return found


def _entry(kind: str) -> str:
    return "time_for_children" if kind == "time" else kind


def write_id_map(process: str, outside_uid: int, outside_gid: int) -> None:
    """Let one outside user and group be L{INSIDE_ID} in a process's user namespace.

    @param process: a pid, or `self`.
    @raise OSError: not the right privileges, or it has a map already.
    """
    if process == "self":  # an unprivileged writer must give up setgroups first
        _write(f"/proc/{process}/setgroups", "deny")
    _write(f"/proc/{process}/uid_map", f"{INSIDE_ID} {outside_uid} 1")
    _write(f"/proc/{process}/gid_map", f"{INSIDE_ID} {outside_gid} 1")


def enter_mapped(ids: Sequence[Sequence[int]]) -> None:
    """Move into a user namespace with several users and groups, as root can give them.

    A child that stays outside writes the maps.

    @param ids: [inside, outside, count], the same for users and groups.
    @raise OSError: as unshare(2) or the maps refuse it.
    """
    text = "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ids)
    parent = os.getpid()
    asked, ask = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        problem = errno.EIO
        try:
            os.close(ask)
            os.read(asked, 1)
            for name in ("uid_map", "gid_map"):
                _write(f"/proc/{parent}/{name}", text)
            problem = 0
        except OSError as error:
            problem = error.errno or errno.EIO
        finally:
            os._exit(problem)
    os.close(asked)
    try:
        enter({"user"})
        os.write(ask, b"m")
    finally:
        os.close(ask)
        _, status = os.waitpid(child, 0)
    problem = os.waitstatus_to_exitcode(status)
    if problem:
        raise OSError(problem, os.strerror(problem), "id map")


def become_inside_user() -> None:
    """Take on the inside user; real, effective and saved."""
    os.setresgid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
    os.setresuid(INSIDE_ID, INSIDE_ID, INSIDE_ID)


def become_user(uid: int) -> None:
    """Be one user and group alone; capabilities stay if neither it nor the caller is root."""
    if uid != os.geteuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def start_clocks() -> None:
    """Let children be in a new time namespace whose clocks began at zero when this process did.

    So they don't see how long the machine has been up (time_namespaces(7)). What started
    before the zero of the clocks would have started in the far future to them: Linux tells
    the start of a process as an unsigned number (proc_pid_stat(5)), and this one, process 1
    of a sandbox, is the first that they see. A kernel that is built without is left as it is.

    @raise OSError: no CAP_SYS_ADMIN and CAP_SYS_TIME in this user namespace.
    """
    if not os.path.exists("/proc/self/ns/time"):
        return
    enter({"time"})
    began = own_start()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - began
    monotonic = max(0.0, time.clock_gettime(time.CLOCK_MONOTONIC) - age)  # it stops in suspend
    lines = [f"monotonic {-int(monotonic)} 0", f"boottime {-int(began)} 0"]
    _write("/proc/self/timens_offsets", "\n".join(lines))


@functools.cache
def own_start() -> float:
    """When this process started, in seconds of CLOCK_BOOTTIME, rounded down to a tick.

    A process that has asked must not fork one that asks.
    """
    stat = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(stat, 4096)
    finally:
        os.close(stat)
    return int(text.rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def limit_user(sysctls: int, limits: Mapping[str, int]) -> None:
    """Limit what processes of this user namespace take of what the host counts for a user.

    None of them may make a user namespace below this one: it would give an agent every
    capability in there, and with them most of the kernel's code to attack.

    @param sysctls: descriptor of /proc/sys, on which nothing is masked.
    @param limits: name in /proc/sys/user to the most; less where that is more than one of
        L{SHARES} parts of the host's. Names that this Linux lacks are left out.
    """
    _write("user/max_user_namespaces", "0", sysctls)
    for name, most in limits.items():
        with contextlib.suppress(FileNotFoundError):
            _write(f"user/{name}", str(min(most, _host_share(sysctls, name))), sysctls)


def learn_shares(sysctls: int) -> None:
    """Read what L{limit_user} needs of the host ahead, also for children."""
    for name in HOST_LIMITS:
        with contextlib.suppress(FileNotFoundError):
            _host_share(sysctls, name)


def _host_share(sysctls: int, name: str) -> int:
    if name not in _shares:
        limit = os.open(HOST_LIMITS[name], os.O_RDONLY | os.O_CLOEXEC, dir_fd=sysctls)
        try:
            _shares[name] = max(1, int(os.read(limit, 32)) // SHARES)
        finally:
            os.close(limit)
    return _shares[name]


_shares: dict[str, int] = {}


def raise_loopback() -> None:
    """Bring up `lo` in a new network namespace, where it is down at first."""
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        asked = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control.fileno(), SIOCGIFFLAGS, asked), 16)
        wanted = struct.pack("16sh22x", b"lo", flags | IFF_UP)
        fcntl.ioctl(control.fileno(), SIOCSIFFLAGS, wanted)
    finally:
        control.close()


def new_session_keyring(*, filtered: bool) -> None:
    """Leave the kernel's session keyring, whose keys its processes possess.

    Each keyring counts against its user's quota (keyrings(7): 200 keys), which is one for
    all agents of a rootless kernel. When it is used up the process stays in the keyring
    that it has, if a filter keeps it from every call that knows of keys.

    @param filtered: there is one, or will be before a program runs.
    """
    number = KEYCTL.get(os.uname().machine)
    if number is None:
        return
    try:
        syscalls.call(number, KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError as error:
        # No keyrings in this kernel, or a container's filter forbids the call,
        # then to the agent as well.
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return
        if error.errno != errno.EDQUOT or not filtered:
            raise


def _write(path: str, text: str, directory: int | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
