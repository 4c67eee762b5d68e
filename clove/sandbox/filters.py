"""The system call filters of a sandbox, as programs for seccomp(2). Pure.

The arguments of a call are 64-bit registers, of which the kernel looks at the
low half alone where the parameter is an int: so do the checks here, or an
argument with high bits set would pass them (CVE-2019-7303).
"""

from __future__ import annotations

import base64
import errno
import functools
from collections.abc import Mapping
from typing import Final

from clove.sandbox.bpf import (
    Item,
    Label,
    assemble,
    branch_if_at_least,
    branch_if_bits,
    branch_if_equal,
    go,
    load,
    mask,
    result,
)
from clove.sandbox.syscall_lists import ALLOWED, CHECKED, REFUSED
from clove.sandbox.syscall_numbers import NUMBERS

__all__ = ["encoded", "program_filter", "sandbox_filter"]

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* of linux/audit.h. Both are little endian."""

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000  # the whole process
_ERRNO: Final = 0x00050000
REFUSE: Final = _ERRNO | errno.EPERM
UNKNOWN: Final = _ERRNO | errno.ENOSYS
NO_PROTOCOL: Final = _ERRNO | errno.EPROTONOSUPPORT
NO_OPTION: Final = _ERRNO | errno.ENOPROTOOPT
NO_MEMORY: Final = _ERRNO | errno.ENOMEM
NOTHING: Final = _ERRNO
"""The call returns 0 and does nothing."""

NUMBER_OFFSET: Final = 0
ARCHITECTURE_OFFSET: Final = 4
ARGUMENTS_OFFSET: Final = 16
"""Of `struct seccomp_data`."""

NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEW* but for time, which clone(2) has no bit for."""
NEW_TIME_NAMESPACE: Final = 0x80

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_TYPE_MASK = 1, 2, 0xF
IPPROTO_TCP, IPPROTO_UDP = 6, 17
TCP_ULP, UDP_ENCAP = 31, 100
"""Options that put other protocols (TLS, SMC, ESP, L2TP) on top of a socket: more code
of the Linux kernel that an unprivileged program reaches, and that none needs."""

SOL_SOCKET, SO_PASSPIDFD, SO_PEERPIDFD = 1, 76, 77
"""Options that give a pidfd of who is at the other end, the kernel's process for one."""

SOCKET_FILTERS: Final = (26, 50, 51, 52)
"""SO_ATTACH_FILTER, SO_ATTACH_BPF and their kin for SO_REUSEPORT: the machine code of filters
counts for the whole machine (net.core.bpf_jit_limit). One agent's would keep everybody from
loading filters of system calls, and so every sandbox from starting."""

MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB = 0x40000, 0x4, 0o4000
"""Huge pages are reserved for somebody (nr_hugepages), and whoever asks first has them. Programs
go on without, as where there are none."""

RLIMIT_CORE: Final = 4
"""Programs may not change it: at every value but that of L{clove.sandbox.rlimits.NO_CORE} a
crash runs the host's handler of cores, as root, on what the program made of its memory.
They want it to be 0, if anything, and go on when told that it is."""

TERMINAL_REQUESTS: Final = (0x5412, 0x541C, 0x541D, 0x5423)
"""TIOCSTI and TIOCLINUX type into terminals; TIOCCONS takes over the console's
output; TIOCSETD loads line disciplines, old code that nobody needs."""

FILE_WATCHES: Final = (1024, 1026, 1040)
"""F_SETLEASE and F_SETDELEG let a process hold up whoever opens a file of its user, for 45 s
(fs.lease-break-time): the kernel, or another agent, in a place that both were granted.
F_NOTIFY watches directories without a count, which inotify has."""

LAST_32_BITS: Final = 0xFFFFFFFF
S_IFMT, S_IFCHR, S_IFBLK = 0xF000, 0x2000, 0x6000
SET_ID_BITS: Final = 0o6000
MAKES_A_FILE: Final = 0o100 | 0o20000000
"""O_CREAT and the bit of O_TMPFILE: the other flags leave the mode unused."""


def _argument(number: int) -> Item:
    return load(ARGUMENTS_OFFSET + 8 * number)


def _mode(number: int) -> list[Item]:
    """Refuse set-user-id and set-group-id bits; what is not refused is allowed."""
    return [_argument(number), branch_if_bits(SET_ID_BITS, "refuse", "allow")]


def _node(number: int) -> list[Item]:
    """Fifos, sockets and ordinary files, but no devices."""
    return [
        _argument(number),
        mask(S_IFMT),
        branch_if_equal(S_IFCHR, "refuse"),
        branch_if_equal(S_IFBLK, "refuse"),
        *_mode(number),
    ]


def _opening(flags: int) -> list[Item]:
    return [_argument(flags), branch_if_bits(MAKES_A_FILE, no="allow"), *_mode(flags + 1)]


_SOCKET: Final[list[Item]] = [
    _argument(0),
    branch_if_equal(AF_UNIX, "allow"),
    branch_if_equal(AF_INET, "socket type"),
    branch_if_equal(AF_INET6, "socket type", "refuse"),
    Label("socket type"),
    _argument(1),
    mask(SOCK_TYPE_MASK),
    branch_if_equal(SOCK_STREAM, "tcp"),
    branch_if_equal(SOCK_DGRAM, "udp", "refuse"),
    Label("tcp"),
    _argument(2),
    branch_if_equal(0, "allow"),
    branch_if_equal(IPPROTO_TCP, "allow", "no protocol"),
    Label("udp"),
    _argument(2),
    branch_if_equal(0, "allow"),
    branch_if_equal(IPPROTO_UDP, "allow", "no protocol"),
    Label("no protocol"),
    result(NO_PROTOCOL),
]

CHECKS: Final[Mapping[str, list[Item]]] = {
    "clone": [_argument(0), branch_if_bits(NEW_NAMESPACES, "refuse", "allow")],
    "unshare": [
        _argument(0),
        branch_if_bits(NEW_NAMESPACES | NEW_TIME_NAMESPACE, "refuse", "allow"),
    ],
    "socket": _SOCKET,
    "setsockopt": [
        _argument(1),
        branch_if_equal(IPPROTO_TCP, "tcp option"),
        branch_if_equal(IPPROTO_UDP, "udp option"),
        branch_if_equal(SOL_SOCKET, "option to set", "allow"),
        Label("option to set"),
        _argument(2),
        *(branch_if_equal(option, "refuse") for option in SOCKET_FILTERS),
        go("socket option"),
        Label("tcp option"),
        _argument(2),
        branch_if_equal(TCP_ULP, "refuse", "allow"),
        Label("udp option"),
        _argument(2),
        branch_if_equal(UDP_ENCAP, "refuse", "allow"),
    ],
    "getsockopt": [
        _argument(1),
        branch_if_equal(SOL_SOCKET, "socket option", "allow"),
        Label("socket option"),
        _argument(2),
        branch_if_equal(SO_PASSPIDFD, "no option"),
        branch_if_equal(SO_PEERPIDFD, "no option", "allow"),
        Label("no option"),
        result(NO_OPTION),
    ],
    "ioctl": [
        _argument(1),
        *(branch_if_equal(request, "refuse") for request in TERMINAL_REQUESTS),
        go("allow"),
    ],
    "setrlimit": [_argument(0), branch_if_equal(RLIMIT_CORE, "nothing", "allow")],
    "prlimit64": [
        _argument(1),
        branch_if_equal(RLIMIT_CORE, "core limit", "allow"),
        Label("core limit"),
        _argument(2),  # the new limit, a pointer of 64 bits; NULL: it is only asked for
        branch_if_equal(0, "high half", "nothing"),
        Label("high half"),
        load(ARGUMENTS_OFFSET + 8 * 2 + 4),
        branch_if_equal(0, "allow", "nothing"),
    ],
    "fcntl": [
        _argument(1),
        *(branch_if_equal(command, "refuse") for command in FILE_WATCHES),
        go("allow"),
    ],
    "mmap": [_argument(3), branch_if_bits(MAP_HUGETLB, "no memory", "allow")],
    "memfd_create": [_argument(1), branch_if_bits(MFD_HUGETLB, "no memory", "allow")],
    "shmget": [_argument(2), branch_if_bits(SHM_HUGETLB, "no memory", "allow")],
    "personality": [
        _argument(0),
        branch_if_equal(0, "allow"),
        branch_if_equal(LAST_32_BITS, "allow", "refuse"),
    ],
    "mode in 1": _mode(1),
    "mode in 2": _mode(2),
    "mode in 1, of a node": _node(1),
    "mode in 2, of a node": _node(2),
    "flags in 1, mode in 2": _opening(1),
    "flags in 2, mode in 3": _opening(2),
}
"""What is done with a call whose arguments count; falls off nowhere."""


def _verdicts(machine: str) -> list[tuple[int, str]]:
    """The whole range of numbers as (first number, what is done from there on)."""
    done = dict.fromkeys(ALLOWED, "allow")
    done |= dict.fromkeys(REFUSED, "refuse")
    done |= CHECKED
    by_number = {number: done[name] for name, number in NUMBERS[machine].items() if name in done}
    ranges: list[tuple[int, str]] = []
    for number in range(max(by_number) + 2):
        verdict = by_number.get(number, "unknown")
        if not ranges or ranges[-1][1] != verdict:
            ranges.append((number, verdict))
    return ranges


def _tree(ranges: list[tuple[int, str]]) -> list[Item]:
    """A binary search for the range that the number is in."""
    if len(ranges) == 1:
        return [go(ranges[0][1])]
    middle = len(ranges) // 2
    first = ranges[middle][0]
    upper = f"from {first}"
    return [
        branch_if_at_least(first, upper),
        *_tree(ranges[:middle]),
        Label(upper),
        *_tree(ranges[middle:]),
    ]


def _ours(machine: str) -> list[Item]:
    """Kill whoever calls by another architecture's numbers, then take the number."""
    return [
        load(ARCHITECTURE_OFFSET),
        branch_if_equal(ARCHITECTURES[machine], "ours"),
        result(KILL),
        Label("ours"),
        load(NUMBER_OFFSET),
    ]


_ENDS: Final[list[Item]] = [
    Label("allow"),
    result(ALLOW),
    Label("refuse"),
    result(REFUSE),
    Label("no memory"),
    result(NO_MEMORY),
    Label("nothing"),
    result(NOTHING),
    Label("unknown"),
    result(UNKNOWN),
]


@functools.cache
def sandbox_filter(machine: str) -> bytes | None:
    """The filter of everything in a sandbox, from its init on.

    @param machine: as uname(2) names it.
    @return: for prctl(PR_SET_SECCOMP); None: no such filter for this machine.
    """
    if machine not in ARCHITECTURES:
        return None
    checks: list[Item] = []
    for name, items in CHECKS.items():
        checks += [Label(name), *items]
    return assemble([*_ours(machine), *_tree(_verdicts(machine)), *checks, *_ENDS])


@functools.cache
def program_filter(machine: str, *, memfd: bool = True) -> bytes | None:
    """What is added for programs, the main one and commands: no openat2(2).

    Its mode lies in memory, where no filter can see set-id bits. Init needs it.

    @param memfd: allow memfd_create(2), whose files can be executed and mapped
        whatever mounts and Landlock say.
    """
    if machine not in ARCHITECTURES:
        return None
    numbers = NUMBERS[machine]
    items = [*_ours(machine), branch_if_equal(numbers["openat2"], "unknown")]
    if not memfd:
        items.append(branch_if_equal(numbers["memfd_create"], "refuse"))
    return assemble([*items, go("allow"), *_ENDS])


def encoded(machine: str, *, memfd: bool = True) -> dict[str, str]:
    """Both filters as the helper takes them; empty where there are none for a machine.

    @param memfd: see L{program_filter}.
    """
    programs = {
        "sandbox": sandbox_filter(machine),
        "programs": program_filter(machine, memfd=memfd),
    }
    return {name: base64.b64encode(each).decode() for name, each in programs.items() if each}
