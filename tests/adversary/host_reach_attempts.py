"""Run as an agent: tries to change the system, and to reach the host (rows 1, 7, 8, 9 and 10)."""

import glob
import os
import socket

from tests.adversary.attempting import attempt, facts, opened, report


@attempt
def kill_launcher() -> None:
    os.kill(facts["pid"], 0)


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
    names = (
        *("kcore", "kallsyms", "timer_list", "vmallocinfo", "slabinfo", "interrupts", "modules"),
        *("cmdline", "partitions", "diskstats", "swaps", "locks", "iomem", "ioports"),
    )
    paths = [f"/proc/{name}" for name in names if os.path.exists(f"/proc/{name}")]
    return {path: opened(path) for path in paths}


@attempt
def in_run() -> object:
    return [os.listdir("/run"), os.listdir("/run/secrets")]


@attempt
def sys_and_host_directories() -> object:
    paths = (
        "/sys",
        "/root",
        "/home",
        "/var/lib",
        "/var/run",
        "/run",
        "/boot",
        "/mnt",
        "/srv",
        "/media",
    )
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


report()
