"""Second doors to system calls, from inside: the agent's main program and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from clove.sandbox.seccomp.syscall_lists import REFUSED
from clove.sandbox.seccomp.syscall_numbers import NUMBERS
from tests.adversary.arena import Arena

MACHINE = os.uname().machine
NAMESPACES = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "time": 0x80,
}
SOCKETS = {
    "AF_NETLINK, sockets": (16, 3, 4),
    "AF_NETLINK, audit": (16, 3, 9),
    "AF_NETLINK, netfilter": (16, 3, 12),
    "AF_NETLINK, devices": (16, 3, 15),
    "AF_NETLINK, generic": (16, 3, 16),
    "AF_NETLINK, cryptography": (16, 3, 21),
    "AF_PACKET": (17, 3, 768),
    "AF_ALG": (38, 5, 0),
    "AF_VSOCK": (40, 1, 0),
    "AF_XDP": (44, 3, 0),
    "AF_CAN": (29, 3, 1),
    "AF_TIPC": (30, 5, 0),
    "AF_SMC": (43, 1, 0),
    "AF_KEY": (15, 3, 2),
    "raw": (2, 3, 1),
    "raw 6": (10, 3, 58),
    "SCTP": (2, 5, 132),
}

pytestmark = pytest.mark.skipif(MACHINE not in NUMBERS, reason=f"no filter for {MACHINE}")


@pytest.fixture(scope="module", params=["main", "command"])
def inside(request: pytest.FixtureRequest, arena: Arena) -> dict[str, Any]:
    """What every attempt came to, of an agent's main program and of a command."""
    reply = arena.begin_attempts(
        "seccomp_attempts.py",
        {"namespaces": NAMESPACES, "sockets": SOCKETS},
        as_command=request.param == "command",
    )
    found: dict[str, Any] = arena.printed(reply["id"])
    return {**found, "isolation": reply["isolation"]}


def test_the_filter_is_there_and_reported(inside: dict[str, Any]) -> None:
    assert inside["mode"] == "2"
    assert inside["isolation"]["seccomp"] is True


SECOND_DOORS = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "kcmp",
    "userfaultfd",
    "bpf",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "fsopen",
    "open_tree",
    "move_mount",
    "fspick",
    "mount_setattr",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "setns",
    "name_to_handle_at",
    "open_by_handle_at",
    "modify_ldt",
    "fanotify_init",
    "quotactl",
    "syslog",
    "clock_settime",
    "settimeofday",
    "adjtimex",
]


def test_second_doors_are_refused(inside: dict[str, Any]) -> None:
    there = [name for name in SECOND_DOORS if name in NUMBERS[MACHINE]]
    assert {name: inside[name] for name in there} == dict.fromkeys(there, "EPERM")


def test_doors_that_programs_know_a_way_around_are_not_there(inside: dict[str, Any]) -> None:
    rings = ("io_uring_setup", "io_uring_enter", "io_uring_register")
    for name in (*rings, "clone3", "memfd_secret", "sched_setattr", "vmsplice"):
        assert inside[name] == "ENOSYS", name


def test_every_call_of_the_list_is_refused_whatever_its_arguments(inside: dict[str, Any]) -> None:
    assert set(inside["everything refused"].values()) == {"EPERM"}
    assert set(inside["everything refused"]) == REFUSED & set(NUMBERS[MACHINE])


def test_every_call_of_no_list_is_unknown(inside: dict[str, Any]) -> None:
    assert inside["everything unknown"] == {}


def test_no_namespace_can_be_made(inside: dict[str, Any]) -> None:
    names = [f"{call} {kind}" for call in ("unshare", "clone") for kind in NAMESPACES]
    names.remove("clone time")
    for name in names:
        assert inside[name] == inside[f"{name}, high bits"] == "EPERM", name
    assert inside["clone without namespaces"] == "done"


def test_sockets_of_other_kinds_are_refused(inside: dict[str, Any]) -> None:
    for name in SOCKETS:
        assert inside[name] == inside[f"{name}, high bits"] == "EPERM", name
        assert inside[f"{name}, a pair"] == "EPERM", name


def test_no_other_protocol_is_put_on_a_socket(inside: dict[str, Any]) -> None:
    assert inside["TCP_ULP"] == "EPERM"
    assert inside["UDP_ENCAP"] == "EPERM"
    assert inside["TCP_NODELAY"] is None


def test_no_process_gets_a_descriptor_of_the_process_at_the_other_end(
    inside: dict[str, Any],
) -> None:
    assert inside["pidfd of the peer"] == "ENOPROTOOPT"
    assert inside["pidfds with messages"] == "ENOPROTOOPT"
    assert inside["credentials of the peer"] == 12


def test_what_the_machine_has_once_is_not_used_up(inside: dict[str, Any]) -> None:
    """Code for filters counts against net.core.bpf_jit_limit; huge pages are reserved for somebody."""
    assert inside["a filter on a socket"] == inside["a filter among sockets"] == "EPERM"
    for name in ("huge pages", "huge pages in a file", "huge pages of System V"):
        assert inside[name] == "ENOMEM", name
    assert inside["memory"] == 1 << 21


def test_the_execution_domain_stays(inside: dict[str, Any]) -> None:
    """But for one's own addresses, which a program may have fixed (ThreadSanitizer)."""
    assert inside["everything executable"] == "EPERM"
    assert inside["no random addresses"] == "done"
    assert inside["personality asked"] == "done"


def test_opening_a_file_is_not_held_up(inside: dict[str, Any]) -> None:
    assert inside["a lease"] == inside["a watch on a directory"] == "EPERM"
    assert inside["a lock"] is None


def test_nothing_is_typed_even_into_a_terminal_of_its_own(inside: dict[str, Any]) -> None:
    """/dev/null would answer ENOTTY; and a terminal that it controls would take it."""
    assert inside["a terminal"] is True
    for name in ("TIOCSTI", "TIOCLINUX", "TIOCSETD"):
        assert inside[name] == inside[f"{name}, high bits"] == "EPERM", name
        assert inside[f"{name} on a terminal"] == "EPERM", name


def test_no_device_is_made(inside: dict[str, Any]) -> None:
    for name in ("character device", "block device", "whiteout"):
        assert inside[name] == "EPERM", name


def test_no_set_id_file_is_made(inside: dict[str, Any]) -> None:
    names = ["set-id node", "set-id file", "fchmod set-uid", "fchmod set-gid", "fchmodat2 set-uid"]
    names += ["fchmodat set-uid", "fchmodat set-gid", "chmod set-uid", "chmod set-gid"]
    assert {inside[name] for name in names if name in inside} == {"EPERM"}
    assert inside["set-id file by openat2"] == "ENOSYS"


@pytest.mark.skipif(MACHINE != "x86_64", reason="x32 is of x86_64")
def test_x32_numbers_are_unknown(inside: dict[str, Any]) -> None:
    found = {result for name, result in inside.items() if name.startswith("x32")}
    assert found == {"ENOSYS"}


def has_i386() -> bool:
    """This Linux takes system calls of i386 from 64-bit programs."""
    code = "import ctypes, mmap; m = mmap.mmap(-1, 4096, prot=7); m.write(bytes.fromhex("
    code += "'b814000000cd80c3')); a = ctypes.addressof(ctypes.c_char.from_buffer(m)); "
    code += "print(ctypes.CFUNCTYPE(ctypes.c_int)(a)())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return ran.returncode == 0 and int(ran.stdout) > 0


@pytest.mark.skipif(MACHINE != "x86_64", reason="i386 is of x86_64")
def test_calls_by_the_numbers_of_i386_are_the_end(inside: dict[str, Any]) -> None:
    assert inside["machine code"] == 7
    found = {result for name, result in inside.items() if name.startswith("i386")}
    assert found == ({"SIGSYS"} if has_i386() else {"SIGSEGV"})
