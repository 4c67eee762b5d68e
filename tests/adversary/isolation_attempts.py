"""Run inside a sandbox: tries what must not work, prints what happened as JSON.

Each attempt runs in a process of its own; its result is what it returns, or the
name of the errno that stopped it.
"""

import ctypes
import errno
import fcntl
import glob
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable

Attempt = Callable[[], object]

facts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
attempts: dict[str, Attempt] = {}
facts_pipe = -1


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


@attempt
def descriptors() -> object:
    own = os.open("/proc/self/fd", os.O_RDONLY)
    names = {int(name) for name in os.listdir(own)} - {own, facts_pipe}
    return sorted(name for name in names if os.path.exists(f"/proc/self/fd/{name}"))


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
def kill_launcher() -> None:
    os.kill(facts["pid"], 0)


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
def write_usr() -> object:
    return opened("/usr/bin/clove-was-here", os.O_WRONLY | os.O_CREAT)


@attempt
def write_root() -> object:
    return opened("/clove-was-here", os.O_WRONLY | os.O_CREAT)


@attempt
def write_dev() -> object:
    return opened("/dev/clove-was-here", os.O_WRONLY | os.O_CREAT)


@attempt
def write_passwd() -> object:
    os.chmod("/etc/passwd", 0o666)
    return opened("/etc/passwd", os.O_WRONLY)


@attempt
def write_library() -> object:
    return opened("/opt/clove/clove/__init__.py", os.O_WRONLY)


@attempt
def write_sysctl() -> object:
    return opened("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@attempt
def raise_namespace_limit() -> object:
    return opened("/proc/sys/user/max_user_namespaces", os.O_WRONLY)


@attempt
def sysrq() -> object:
    return opened("/proc/sysrq-trigger", os.O_WRONLY)


@attempt
def kernel_facts() -> object:
    names = ("kcore", "kallsyms", "timer_list", "vmallocinfo", "slabinfo", "interrupts", "modules")
    paths = [f"/proc/{name}" for name in names if os.path.exists(f"/proc/{name}")]
    return {path: opened(path) for path in paths}


@attempt
def sys_and_host_directories() -> object:
    paths = ("/sys", "/root", "/home", "/var/lib", "/run", "/boot", "/mnt", "/work")
    return [path for path in paths if os.path.exists(path)]


@attempt
def shadow() -> object:
    return opened("/etc/shadow")


@attempt
def host_file() -> object:
    return opened(facts["secret"])


@attempt
def host_path_socket() -> None:
    socket.socket(socket.AF_UNIX).connect(facts["path_socket"])


@attempt
def host_abstract_socket() -> None:
    socket.socket(socket.AF_UNIX).connect("\0" + facts["abstract_socket"])


@attempt
def host_port() -> None:
    socket.create_connection(("127.0.0.1", facts["port"]), 2)


@attempt
def internet() -> None:
    socket.create_connection(("192.0.2.1", 80), 2)


@attempt
def interfaces() -> object:
    with open("/proc/net/dev") as table:
        return [line.split(":")[0].strip() for line in table if ":" in line]


@attempt
def well_known_sockets() -> object:
    found = glob.glob("/run/**/*.sock*", recursive=True) + glob.glob("/var/run/*.sock")
    return [path for path in [*found, "/run/dbus/system_bus_socket"] if os.path.exists(path)]


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
    with open("/proc/self/status") as status:
        rows = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    return [int(rows[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]


@attempt
def no_new_privileges() -> object:
    return libc.prctl(39, 0, 0, 0, 0)  # PR_GET_NO_NEW_PRIVS


@attempt
def masked_signals() -> object:
    with open("/proc/self/status") as status:
        rows = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    return rows["SigBlk"]


@attempt
def set_uid_programs_of_the_host() -> object:
    ran = subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True)
    return ran.returncode != 0


@attempt
def set_uid_copy() -> object:
    ran = subprocess.run(["/workspace/id", "-u"], capture_output=True, text=True)
    return ran.stdout.strip()


@attempt
def lower_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, -5)


@attempt
def umask() -> object:
    return os.umask(0)


@attempt
def environment() -> object:
    return sorted(os.environ)


def perform(function: Attempt) -> object:
    global facts_pipe
    reader, facts_pipe = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        result: object
        try:
            result = function()
        except OSError as error:
            result = errno.errorcode.get(error.errno or 0, str(error))
        except BaseException as error:
            result = repr(error)
        os.write(facts_pipe, json.dumps(result).encode())
        os._exit(0)
    os.close(facts_pipe)
    text = b""
    while piece := os.read(reader, 65536):
        text += piece
    os.close(reader)
    os.wait()
    return json.loads(text or "null")


print(json.dumps({name: perform(function) for name, function in attempts.items()}))
