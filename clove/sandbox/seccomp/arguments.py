"""What a sandbox refuses by the arguments of a call, for seccomp(2). Pure.

The arguments are 64-bit registers, of which the kernel looks at the low half alone
where the parameter is an int: so do the checks here, or an argument with high bits
set would pass them (CVE-2019-7303).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clove.sandbox.seccomp.abi import (
    ARGUMENTS_OFFSET,
    NO_OPTION,
    NO_PROTOCOL,
    argument,
)
from clove.sandbox.seccomp.bpf import (
    Item,
    Label,
    branch_if_bits,
    branch_if_equal,
    go,
    load,
    mask,
    result,
)

__all__ = ["CHECKS", "LAST_32_BITS", "WITHOUT_NETLINK"]

NEW_NAMESPACES: Final = 0x7E020000
"""CLONE_NEW* but for time, which clone(2) has no bit for."""
NEW_TIME_NAMESPACE: Final = 0x80

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NETLINK_ROUTE = 0
"""Interfaces, addresses and routes (rtnetlink(7)). Programs list those of their network namespace; what
would change them needs CAP_NET_ADMIN there, and Linux refuses it with EPERM."""
SOCK_STREAM, SOCK_DGRAM, SOCK_TYPE_MASK = 1, 2, 0xF
IPPROTO_TCP, IPPROTO_UDP = 6, 17
TCP_ULP, UDP_ENCAP = 31, 100
"""Options that put other protocols (TLS, SMC, ESP, L2TP) on top of a socket: more code
of the Linux kernel that an unprivileged program reaches, and that none needs."""

SOL_SOCKET, SO_PASSPIDFD, SO_PEERPIDFD = 1, 76, 77
"""Options that give a pidfd of the process at the other end, such as the kernel."""

SOCKET_FILTERS: Final = (26, 50, 51, 52)
"""SO_ATTACH_FILTER, SO_ATTACH_BPF and the same for SO_REUSEPORT: the machine code of filters
counts for the whole machine (net.core.bpf_jit_limit). One agent's could use it up: then no
filter of system calls can be loaded, and no sandbox started."""

MAP_HUGETLB, MFD_HUGETLB, SHM_HUGETLB = 0x40000, 0x4, 0o4000
"""Huge pages are reserved for some program (nr_hugepages), and the first to ask has them. Programs
go on without, as where there are none."""

MFD_UNKNOWN: Final = 0x03FFFFE0
"""Flags that no Linux has. Chromium asks with all of them to find out whether there is a
memfd_create(2), and ends unless they are invalid."""

RLIMIT_CORE: Final = 4
"""Programs may not change it: at every value but that of L{clove.sandbox.inside.rlimits.NO_CORE} a
crash runs the host's handler of cores, as root, on what the program made of its memory.
They want it to be 0, if anything, and go on when told that it is."""

TERMINAL_REQUESTS: Final = (0x5412, 0x541C, 0x541D, 0x5423)
"""TIOCSTI and TIOCLINUX type into terminals; TIOCCONS takes over the console's
output; TIOCSETD loads line disciplines, old code that no agent needs."""

FILE_WATCHES: Final = (1024, 1026, 1040)
"""F_SETLEASE and F_SETDELEG let a process hold up any other that opens a file of its user, for 45 s
(fs.lease-break-time): the kernel, or another agent, under a path that both were granted.
F_NOTIFY watches directories without a count, which inotify has."""

ADDR_NO_RANDOMIZE: Final = 0x0040000
"""ThreadSanitizer starts its program again with this where addresses are spread widely
(vm.mmap_rnd_bits). It is about the memory of the program and its children alone, and ends with set-id."""
LAST_32_BITS: Final = 0xFFFFFFFF
S_IFMT, S_IFCHR, S_IFBLK = 0xF000, 0x2000, 0x6000
SET_ID_BITS: Final = 0o6000
MAKES_A_FILE: Final = 0o100 | 0o20000000
"""O_CREAT and the bit of O_TMPFILE: the other flags leave the mode unused."""


def _mode(number: int) -> list[Item]:
    """Refuse set-user-id and set-group-id bits; what is not refused is allowed."""
    return [argument(number), branch_if_bits(SET_ID_BITS, "refuse", "allow")]


def _node(number: int) -> list[Item]:
    """Fifos, sockets and ordinary files, but no devices."""
    return [
        argument(number),
        mask(S_IFMT),
        branch_if_equal(S_IFCHR, "refuse"),
        branch_if_equal(S_IFBLK, "refuse"),
        *_mode(number),
    ]


def _opening(flags: int) -> list[Item]:
    return [argument(flags), branch_if_bits(MAKES_A_FILE, no="allow"), *_mode(flags + 1)]


_SOCKET: Final[list[Item]] = [
    argument(0),
    branch_if_equal(AF_UNIX, "allow"),
    branch_if_equal(AF_INET, "socket type"),
    branch_if_equal(AF_NETLINK, "netlink"),
    branch_if_equal(AF_INET6, "socket type", "refuse"),
    Label("socket type"),
    argument(1),
    mask(SOCK_TYPE_MASK),
    branch_if_equal(SOCK_STREAM, "tcp"),
    branch_if_equal(SOCK_DGRAM, "udp", "refuse"),
    Label("tcp"),
    argument(2),
    branch_if_equal(0, "allow"),
    branch_if_equal(IPPROTO_TCP, "allow", "no protocol"),
    Label("udp"),
    argument(2),
    branch_if_equal(0, "allow"),
    branch_if_equal(IPPROTO_UDP, "allow", "no protocol"),
    Label("no protocol"),
    result(NO_PROTOCOL),
]

_NETLINK: Final[list[Item]] = [
    Label("netlink"),
    argument(2),
    branch_if_equal(NETLINK_ROUTE, "allow", "refuse"),
]
_NO_NETLINK: Final[list[Item]] = [Label("netlink"), go("refuse")]

CHECKS: Final[Mapping[str, list[Item]]] = {
    "clone": [argument(0), branch_if_bits(NEW_NAMESPACES, "refuse", "allow")],
    "unshare": [
        argument(0),
        branch_if_bits(NEW_NAMESPACES | NEW_TIME_NAMESPACE, "refuse", "allow"),
    ],
    "socket": [*_SOCKET, *_NETLINK],
    "setsockopt": [
        argument(1),
        branch_if_equal(IPPROTO_TCP, "tcp option"),
        branch_if_equal(IPPROTO_UDP, "udp option"),
        branch_if_equal(SOL_SOCKET, "option to set", "allow"),
        Label("option to set"),
        argument(2),
        *(branch_if_equal(option, "refuse") for option in SOCKET_FILTERS),
        go("socket option"),
        Label("tcp option"),
        argument(2),
        branch_if_equal(TCP_ULP, "refuse", "allow"),
        Label("udp option"),
        argument(2),
        branch_if_equal(UDP_ENCAP, "refuse", "allow"),
    ],
    "getsockopt": [
        argument(1),
        branch_if_equal(SOL_SOCKET, "socket option", "allow"),
        Label("socket option"),
        argument(2),
        branch_if_equal(SO_PASSPIDFD, "no option"),
        branch_if_equal(SO_PEERPIDFD, "no option", "allow"),
        Label("no option"),
        result(NO_OPTION),
    ],
    "ioctl": [
        argument(1),
        *(branch_if_equal(request, "refuse") for request in TERMINAL_REQUESTS),
        go("allow"),
    ],
    "setrlimit": [argument(0), branch_if_equal(RLIMIT_CORE, "nothing", "allow")],
    "prlimit64": [
        argument(1),
        branch_if_equal(RLIMIT_CORE, "core limit", "allow"),
        Label("core limit"),
        argument(2),  # the new limit, a pointer of 64 bits; NULL: it is only asked for
        branch_if_equal(0, "high half", "nothing"),
        Label("high half"),
        load(ARGUMENTS_OFFSET + 8 * 2 + 4),
        branch_if_equal(0, "allow", "nothing"),
    ],
    "fcntl": [
        argument(1),
        *(branch_if_equal(command, "refuse") for command in FILE_WATCHES),
        go("allow"),
    ],
    "mmap": [argument(3), branch_if_bits(MAP_HUGETLB, "no memory", "allow")],
    "memfd_create": [
        argument(1),
        branch_if_bits(MFD_HUGETLB, "huge memfd", "allow"),
        Label("huge memfd"),
        branch_if_bits(MFD_UNKNOWN, "invalid", "no memory"),
    ],
    "shmget": [argument(2), branch_if_bits(SHM_HUGETLB, "no memory", "allow")],
    "personality": [
        argument(0),
        branch_if_equal(0, "allow"),
        branch_if_equal(ADDR_NO_RANDOMIZE, "allow"),
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

WITHOUT_NETLINK: Final[Mapping[str, list[Item]]] = {"socket": [*_SOCKET, *_NO_NETLINK]}
"""In place of those in L{CHECKS} where the network namespace is the host's."""
