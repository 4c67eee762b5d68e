"""What the filters answer to each call, run as the kernel runs them (seccomp(2))."""

from __future__ import annotations

import errno
import random
import re
import struct
from pathlib import Path

import pytest

from clove.sandbox.seccomp.filters import encoded, program_filter, sandbox_filter
from clove.sandbox.seccomp.syscall_lists import ALLOWED, CHECKED, REFUSED
from clove.sandbox.seccomp.syscall_numbers import NUMBERS

ALLOW, KILL = "allow", "kill"
EPERM, ENOSYS, EPROTONOSUPPORT = "EPERM", "ENOSYS", "EPROTONOSUPPORT"
ENOPROTOOPT, ENOMEM, EINVAL = "ENOPROTOOPT", "ENOMEM", "EINVAL"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}
HIGH_BITS = 0xDEADBEEF << 32


def verdict(
    number: int,
    *arguments: int,
    machine: str = "x86_64",
    architecture: str = "",
    program: bytes | None = None,
) -> str:
    """Run a filter on one call."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack(
        "<iIQ6Q",
        number - (1 << 32) if number >> 31 else number,
        ARCHITECTURES[architecture or machine],
        0,
        *words,
    )
    code = list(struct.iter_unpack("=HBBI", program or sandbox_filter(machine) or b""))
    here, word = 0, 0
    while True:
        operation, yes, no, k = code[here]
        here += 1
        if operation == 0x20:
            (word,) = struct.unpack_from("<I", data, k)
        elif operation == 0x54:
            word &= k
        elif operation == 0x05:
            here += k
        elif operation == 0x06:
            return answer(k)
        else:
            held = {0x15: word == k, 0x35: word >= k, 0x45: bool(word & k)}[operation]
            here += yes if held else no


def answer(action: int) -> str:
    if action >> 16 == 5:
        return errno.errorcode.get(action & 0xFFFF, str(action & 0xFFFF))
    return {0x7FFF0000: ALLOW, 0x80000000: KILL}[action]


machines = pytest.mark.parametrize("machine", sorted(NUMBERS))


@machines
def test_every_number_gets_what_the_lists_say(machine: str) -> None:
    names = {number: name for name, number in NUMBERS[machine].items()}
    assert len(names) == len(NUMBERS[machine])
    for number in range(2048):
        name = names.get(number, "")
        if name in CHECKED:
            continue
        expected = ALLOW if name in ALLOWED else EPERM if name in REFUSED else ENOSYS
        assert verdict(number, *[0xFFFFFFFFFFFFFFFF] * 6, machine=machine) == expected, name


@machines
def test_no_call_is_in_two_lists_or_in_none(machine: str) -> None:
    assert not ALLOWED & REFUSED
    assert not (ALLOWED | REFUSED) & set(CHECKED)
    assert set(NUMBERS[machine]) <= ALLOWED | REFUSED | set(CHECKED)


def test_every_listed_call_has_a_number_somewhere() -> None:
    assert ALLOWED | REFUSED | set(CHECKED) == set(NUMBERS["x86_64"]) | set(NUMBERS["aarch64"])


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_numbers_are_those_of_linux(machine: str, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"no {header} (linux-libc-dev)")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\s", Path(header).read_text())
    real = {name: int(number) for name, number in defined}
    for ours, theirs in (("newfstatat", "fstatat"), ("fadvise64", "fadvise64_64")):
        if theirs in real:
            real.setdefault(ours, real[theirs])
    latest = max(real.values())
    for name, number in NUMBERS[machine].items():
        if number <= latest and name not in ("uretprobe", "uprobe"):  # later than some headers
            assert real[name] == number


@machines
@pytest.mark.parametrize("program", [sandbox_filter, program_filter])
def test_another_architecture_is_the_end(machine: str, program: object) -> None:
    for other in set(ARCHITECTURES) - {machine}:
        for number in (0, 1, 20, 39, 63, 93, 437):
            filtered = program(machine)  # type: ignore[operator]
            assert verdict(number, machine=machine, architecture=other, program=filtered) == KILL


@pytest.mark.parametrize("name", ["read", "getpid", "execve", "socket", "ptrace"])
def test_x32_numbers_are_unknown(name: str) -> None:
    assert verdict(NUMBERS["x86_64"][name] | 0x40000000) == ENOSYS


@pytest.mark.parametrize("number", [512, 520, 547, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_numbers_beyond_all_calls_are_unknown(number: int) -> None:
    assert verdict(number) == ENOSYS


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x01200011,), ALLOW),  # fork
        ("clone", (0x003D0F00,), ALLOW),  # a thread
        ("clone", (0x4111,), ALLOW),  # vfork
        ("clone", (0x10000011,), EPERM),
        ("clone", (0x20000011,), EPERM),
        ("clone", (0x40000011,), EPERM),
        ("clone", (0x08000011,), EPERM),
        ("clone", (0x04000011,), EPERM),
        ("clone", (0x02000011,), EPERM),
        ("clone", (0x00020011,), EPERM),
        ("unshare", (0x600,), ALLOW),  # files and the file system's context
        ("unshare", (0x80,), EPERM),
        ("unshare", (0x10000000,), EPERM),
        ("socket", (1, 1, 0), ALLOW),
        ("socket", (1, 5 | 0o2000000, 0), ALLOW),
        ("socket", (2, 1 | 0o2004000, 6), ALLOW),
        ("socket", (10, 2, 17), ALLOW),
        ("socket", (2, 2, 0), ALLOW),
        ("socket", (2, 3, 1), EPERM),  # raw
        ("socket", (10, 3, 58), EPERM),
        ("socket", (2, 10, 0), EPERM),  # SOCK_PACKET
        ("socket", (2, 5, 132), EPERM),  # SCTP
        ("socket", (2, 1, 132), EPROTONOSUPPORT),
        ("socket", (2, 1, 262), EPROTONOSUPPORT),  # multipath TCP
        ("socket", (2, 2, 1), EPROTONOSUPPORT),  # ping
        ("socket", (16, 3, 0), ALLOW),  # netlink: interfaces and routes
        ("socket", (16, 2 | 0o2000000, 0), ALLOW),
        *(("socket", (16, 3, protocol), EPERM) for protocol in range(1, 23)),
        ("socket", (17, 3, 0), EPERM),  # packet
        ("socket", (38, 5, 0), EPERM),  # the kernel's cryptography
        ("socket", (40, 1, 0), EPERM),  # vsock
        ("socket", (44, 3, 0), EPERM),  # XDP
        ("socketpair", (1, 1, 0), ALLOW),
        ("socketpair", (30, 1, 0), EPERM),  # TIPC
        ("fcntl", (0, 1024, 0), EPERM),  # F_SETLEASE
        ("fcntl", (0, 1025), ALLOW),  # F_GETLEASE
        ("fcntl", (0, 1026, 1), EPERM),  # F_NOTIFY
        ("fcntl", (0, 1030, 3), ALLOW),  # F_DUPFD_CLOEXEC
        ("fcntl", (0, 1040, 0), EPERM),  # F_SETDELEG
        ("fcntl", (0, 6, 0), ALLOW),  # F_SETLK
        ("setsockopt", (0, 1, 31), ALLOW),
        ("setsockopt", (0, 1, 76), ENOPROTOOPT),  # SO_PASSPIDFD
        ("setsockopt", (0, 1, 26), EPERM),  # SO_ATTACH_FILTER
        ("setsockopt", (0, 1, 27), ALLOW),  # SO_DETACH_FILTER
        ("setsockopt", (0, 1, 50), EPERM),  # SO_ATTACH_BPF
        ("setsockopt", (0, 1, 51), EPERM),  # SO_ATTACH_REUSEPORT_CBPF
        ("setsockopt", (0, 1, 52), EPERM),  # SO_ATTACH_REUSEPORT_EBPF
        ("setsockopt", (0, 6, 26), ALLOW),
        ("getsockopt", (0, 1, 26), ALLOW),
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 3, 0x40022), ENOMEM),  # MAP_HUGETLB
        ("memfd_create", (0, 1), ALLOW),
        ("memfd_create", (0, 5), ENOMEM),  # MFD_HUGETLB
        ("memfd_create", (0, 0x54000005), ENOMEM),  # with pages of 2 MiB
        ("memfd_create", (0, 0xFFFFFFFF), EINVAL),  # how Chromium looks whether it is there
        ("memfd_create", (0, 0x24), EINVAL),
        ("shmget", (0, 4096, 0o1600), ALLOW),
        ("shmget", (0, 4096, 0o5600), ENOMEM),  # SHM_HUGETLB
        ("setsockopt", (0, 6, 76), ALLOW),
        ("getsockopt", (0, 1, 77), ENOPROTOOPT),  # SO_PEERPIDFD
        ("getsockopt", (0, 1, 17), ALLOW),  # SO_PEERCRED
        ("getsockopt", (0, 6, 77), ALLOW),
        ("setsockopt", (0, 6, 1), ALLOW),  # TCP_NODELAY
        ("setsockopt", (0, 6, 31), EPERM),  # TCP_ULP
        ("setsockopt", (0, 6, 100), ALLOW),
        ("setsockopt", (0, 17, 103), ALLOW),  # UDP_SEGMENT
        ("setsockopt", (0, 17, 100), EPERM),  # UDP_ENCAP
        ("ioctl", (0, 0x5401), ALLOW),  # TCGETS
        ("ioctl", (0, 0x5412), EPERM),
        ("ioctl", (0, 0x541C), EPERM),
        ("ioctl", (0, 0x541D), EPERM),
        ("ioctl", (0, 0x5423), EPERM),
        ("personality", (0,), ALLOW),
        ("personality", (0xFFFFFFFF,), ALLOW),
        ("personality", (0x0040000,), ALLOW),  # ADDR_NO_RANDOMIZE
        ("personality", (0x0440000,), EPERM),
        ("personality", (0x0400000,), EPERM),  # READ_IMPLIES_EXEC
        ("mknod", (0, 0o010644), ALLOW),
        ("mknod", (0, 0o140644), ALLOW),
        ("mknod", (0, 0o644), ALLOW),
        ("mknod", (0, 0o020644), EPERM),
        ("mknod", (0, 0o060644), EPERM),
        ("mknod", (0, 0o104755), EPERM),
        ("mknodat", (0, 0, 0o020000), EPERM),
        ("chmod", (0, 0o1777), ALLOW),
        ("chmod", (0, 0o4755), EPERM),
        ("fchmod", (0, 0o2755), EPERM),
        ("fchmodat", (0, 0, 0o4755), EPERM),
        ("fchmodat2", (0, 0, 0o4755), EPERM),
        ("creat", (0, 0o4755), EPERM),
        ("open", (0, 0o101, 0o755), ALLOW),
        ("open", (0, 0o101, 0o4755), EPERM),
        ("open", (0, 0, 0o4755), ALLOW),  # not looked at without O_CREAT
        ("openat", (0, 0, 0o101, 0o4755), EPERM),
        ("openat", (0, 0, 0o20200002, 0o4755), EPERM),  # O_TMPFILE
        ("openat", (0, 0, 0o2000000, 0xFFFF), ALLOW),
        ("openat2", (0, 0, 0, 24), ALLOW),
    ],
)
@pytest.mark.parametrize("high", [0, HIGH_BITS], ids=["plain", "with high bits"])
@machines
def test_arguments_that_count_are_looked_at(
    machine: str, name: str, arguments: tuple[int, ...], expected: str, high: int
) -> None:
    if name not in NUMBERS[machine]:
        return
    number = NUMBERS[machine][name]
    assert verdict(number, *(each | high for each in arguments), machine=machine) == expected


def test_no_arguments_get_a_namespace_or_a_device() -> None:
    chance = random.Random(7)
    numbers = NUMBERS["x86_64"]
    for _ in range(2000):
        bits = chance.getrandbits(64)
        namespaces = bits & 0x7E020000
        assert (verdict(numbers["clone"], bits) == EPERM) == bool(namespaces)
        assert (verdict(numbers["unshare"], bits) == EPERM) == bool(namespaces | bits & 0x80)
        device = bits & 0xF000 in (0x2000, 0x6000)
        assert (verdict(numbers["mknod"], 0, bits) == EPERM) == bool(device or bits & 0o6000)


@machines
def test_programs_are_told_that_there_is_no_openat2(machine: str) -> None:
    added = program_filter(machine)
    assert added
    assert verdict(437, machine=machine, program=added) == ENOSYS
    for number in (0, 56, 257, 436, 438, 0xFFFFFFFF):
        assert verdict(number, machine=machine, program=added) == ALLOW


@machines
def test_programs_that_may_execute_little_make_no_files_in_memory(machine: str) -> None:
    number = NUMBERS[machine]["memfd_create"]
    added = program_filter(machine, memfd=False)
    assert added
    assert verdict(number, machine=machine, program=added) == EPERM
    assert verdict(437, machine=machine, program=added) == ENOSYS
    for other in (number - 1, number + 1):
        assert verdict(other, machine=machine, program=added) == ALLOW
    assert verdict(number, machine=machine, program=program_filter(machine)) == ALLOW


def test_there_is_no_filter_for_a_machine_that_is_not_known() -> None:
    assert sandbox_filter("riscv64") is None
    assert program_filter("") is None
    assert encoded("riscv64") == {}
    assert set(encoded("x86_64")) == {"sandbox", "programs"}


@machines
@pytest.mark.parametrize("high", [0, HIGH_BITS], ids=["plain", "with high bits"])
def test_the_limit_of_cores_stays_and_setting_it_seems_to_succeed(machine: str, high: int) -> None:
    core, descriptors = 4 | high, 7 | high
    prlimit, setrlimit = NUMBERS[machine]["prlimit64"], NUMBERS[machine]["setrlimit"]
    nothing = "0"
    assert verdict(setrlimit, core, 0x7F00_0000_1000, machine=machine) == nothing
    assert verdict(setrlimit, descriptors, 0x7F00_0000_1000, machine=machine) == ALLOW
    for new in (0x7F00_0000_1000, 0x7F00_0000_0000, 0x1000):  # the low half alone may be 0
        assert verdict(prlimit, 0, core, new, 0, machine=machine) == nothing
        assert verdict(prlimit, 0, descriptors, new, 0, machine=machine) == ALLOW
    assert verdict(prlimit, 0, core, 0, 0x1000, machine=machine) == ALLOW  # it is asked for
