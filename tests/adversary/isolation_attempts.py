"""Run as an agent: tries to get out of its sandbox (rows 1, 7, 8, 9, 10 and 27)."""

import ctypes
import fcntl
import os
import resource
import socket
import subprocess
import sys

from tests.adversary.attempting import (
    attempt,
    check,
    descriptors_held,
    libc,
    opened,
    report,
    status_of,
    syscall,
)


@attempt
def descriptors() -> object:
    return descriptors_held()


@attempt
def cwd() -> object:
    return [os.getcwd(), os.readlink("/proc/self/cwd"), os.readlink("/proc/self/root")]


@attempt
def cwd_leads_out() -> object:
    """CVE-2024-21626: a descriptor or directory of the host's, to walk up from."""
    found = []
    for number in range(1024):
        try:
            os.chdir(f"/proc/self/fd/{number}")
        except OSError:
            continue
        found.append(number)
    os.chdir("/workspace")
    os.chdir("../../../../../..")
    return [found, os.stat(".").st_ino == os.stat("/").st_ino]


@attempt
def write_own_interpreter_by_another_name() -> object:
    return opened(os.path.realpath(sys.executable), os.O_WRONLY)


@attempt
def descriptors_of_the_program() -> object:
    """The main program's own, as its parent's parent sees them: what was inherited."""
    return sorted(
        int(name)
        for name in os.listdir(f"/proc/{os.getppid()}/fd")
        if not os.readlink(f"/proc/{os.getppid()}/fd/{name}").startswith("pipe:") or int(name) <= 2
    )


@attempt
def stdin_is() -> object:
    return os.readlink("/proc/self/fd/0")


@attempt
def write_own_interpreter() -> object:
    return opened("/proc/self/exe", os.O_WRONLY)


@attempt
def write_init_interpreter() -> object:
    return opened("/proc/1/exe", os.O_WRONLY)


@attempt
def root_of_init() -> object:
    return os.listdir("/proc/1/root/")


@attempt
def cwd_of_init() -> object:
    return os.listdir("/proc/1/cwd/")


@attempt
def environ_of_init() -> object:
    return opened("/proc/1/environ")


@attempt
def memory_of_init() -> object:
    return opened("/proc/1/mem")


@attempt
def descriptors_of_init() -> object:
    return os.listdir("/proc/1/fd")


@attempt
def trace_init() -> object:
    libc.ptrace.restype = ctypes.c_long
    return check(libc.ptrace(16, 1, None, None))  # PTRACE_ATTACH


@attempt
def steal_descriptor_of_init() -> object:
    pidfd = os.pidfd_open(1)
    return syscall(438, pidfd, 0, 0)


@attempt
def kill_init() -> object:
    os.kill(1, 9)
    return os.listdir("/proc/1/task")


@attempt
def foreign_pids() -> object:
    return sorted(
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if os.stat(f"/proc/{pid}").st_uid not in (1000, 65534, 0)
    )


@attempt
def number_of_pids() -> object:
    return len([name for name in os.listdir("/proc") if name.isdigit()])


@attempt
def mount_tmpfs() -> object:
    return check(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))


@attempt
def remount_writable() -> object:
    return check(libc.mount(b"none", b"/usr", b"", 32 | 4096, None))


@attempt
def unmount_proc_mask() -> object:
    return check(libc.umount2(b"/proc/sys", 2))


@attempt
def new_mount_api() -> object:
    return syscall(430, b"tmpfs", 0)


@attempt
def chroot() -> None:
    os.chroot("/tmp")


@attempt
def pivot_root() -> object:
    return check(libc.pivot_root(b"/tmp", b"/tmp"))


@attempt
def new_user_namespace() -> object:
    return check(libc.unshare(0x10000000))


@attempt
def clone3_user_namespace() -> object:
    arguments = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17, 0, 0, 0)
    return syscall(435, bytes(arguments), 64)


@attempt
def new_mount_namespace() -> object:
    return check(libc.unshare(0x00020000))


@attempt
def new_net_namespace() -> object:
    return check(libc.unshare(0x40000000))


@attempt
def enter_namespace_of_init() -> object:
    return check(libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))


@attempt
def become_root() -> None:
    os.setuid(0)


@attempt
def change_groups() -> None:
    os.setgroups([0])


@attempt
def device_node() -> None:
    os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0))


@attempt
def device_node_in_workspace() -> None:
    os.mknod("/workspace/disk", 0o60600, os.makedev(8, 0))


@attempt
def rename_host() -> None:
    socket.sethostname("mine")


@attempt
def terminal() -> object:
    return opened("/dev/tty", os.O_RDWR)


@attempt
def type_into_terminal() -> None:
    fcntl.ioctl(0, 0x5412, b"x")  # TIOCSTI


@attempt
def session() -> object:
    return os.getsid(os.getppid()) == os.getppid()


@attempt
def core_limit() -> object:
    return list(resource.getrlimit(resource.RLIMIT_CORE))


@attempt
def capabilities() -> object:
    rows = status_of()
    return [int(rows[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]


@attempt
def no_new_privileges() -> object:
    return libc.prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS


@attempt
def masked_signals() -> object:
    rows = status_of()
    return rows["SigBlk"]


@attempt
def set_uid_programs_of_the_host() -> object:
    ran = subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True)
    return ran.returncode != 0


@attempt
def lower_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, -5)


@attempt
def umask() -> object:
    return os.umask(0)


@attempt
def environment() -> object:
    return sorted(os.environ)


report()
