"""One agent's cgroup: its limits, its processes, what it ran into.

Standard library only. All functions write or read tiny files of cgroupfs; some
wait, so the kernel calls them in threads. Source: the Linux kernel's
Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import Final

__all__ = [
    "AgentCgroup",
    "CgroupEvents",
    "CgroupLimits",
    "apply",
    "bfq_weight",
    "cpu_weight",
    "get",
    "put",
]

_GONE: Final = (errno.ENOENT, errno.ENODEV)


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupLimits:
    """What an agent may use, in the units of SPAWN's `limits`. 0 is no limit.

    @ivar memory: bytes, swap excluded. Over it the whole agent is killed.
    @ivar max_pids: processes and threads. Over it fork fails with EAGAIN.
    @ivar cpu_quota: microseconds of CPU time in each period. Over it the agent waits.
    @ivar cpu_period: microseconds, 1000 to 1000000.
    @ivar cpu_shares: weight against others, 2 to 262144, as cgroup version 1 counts; of CPU
        time, and of the time of disks that are shared by weight.
    """

    memory: int = 0
    max_pids: int = 0
    cpu_quota: int = 0
    cpu_period: int = 100_000
    cpu_shares: int = 1024


@dataclass(frozen=True, slots=True)
class CgroupEvents:
    """How often a limit was hit: processes killed for memory, forks refused."""

    oom_kills: int = 0
    pids_max: int = 0


def cpu_weight(shares: int) -> int:
    """cpu.weight (1 to 10000, default 100) for version 1's shares (2 to 262144, default 1024).

    The curve goes through both ends and both defaults; it is the one that OCI
    runtimes use since 2025 (ConvertCPUSharesToCgroupV2Value in
    github.com/opencontainers/cgroups).
    """
    if shares <= 2:
        return 1
    if shares >= 262_144:
        return 10_000
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def bfq_weight(weight: int) -> int:
    """io.bfq.weight (1 to 1000, default 100) for io.weight (1 to 10000, default 100).

    Straight from the default to the end, as systemd does it (BFQ_WEIGHT in its cgroup.c).
    """
    return weight if weight <= 100 else 100 + (weight - 100) * 900 // 9900


def put(path: str, text: str) -> None:
    """Write a control file in one write.

    @raise OSError: as the kernel refuses it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def get(path: str) -> str:
    """A control file's text; empty if it is not there."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if error.errno in _GONE:
            return ""
        raise


def _table(path: str) -> dict[str, int]:
    """A flat keyed file such as cgroup.events."""
    rows = (line.split() for line in get(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _files(limits: CgroupLimits) -> dict[str, list[tuple[str, str, bool]]]:
    """For each controller, what to write: file, text, and whether it must succeed."""
    quota = "max" if limits.cpu_quota <= 0 else str(limits.cpu_quota)
    return {
        "memory": [
            ("memory.max", str(limits.memory) if limits.memory > 0 else "max", True),
            ("memory.swap.max", "0" if limits.memory > 0 else "max", False),
            ("memory.oom.group", "1", False),
        ],
        "pids": [("pids.max", str(limits.max_pids) if limits.max_pids > 0 else "max", True)],
        "cpu": [
            ("cpu.max", f"{quota} {limits.cpu_period}", True),
            ("cpu.weight", str(cpu_weight(limits.cpu_shares)), False),
        ],
    }


def _weigh_io(path: str, shares: int) -> bool:
    """Set the weight for disks, on the curve of cpu.weight.

    Linux has a file for each way to share a disk: io.weight (io.cost) and io.bfq.weight (the
    scheduler BFQ), either only where it was built or loaded. Whether one counts is
    decided for each disk by the host's administrator.

    @return: whether there was one.
    """
    weight = cpu_weight(shares)
    done = False
    for name, number in (("io.weight", weight), ("io.bfq.weight", bfq_weight(weight))):
        with contextlib.suppress(OSError):
            put(f"{path}/{name}", f"default {number}")
            done = True
    return done


def apply(
    path: str, limits: CgroupLimits, controllers: frozenset[str]
) -> tuple[frozenset[str], dict[str, str]]:
    """Set an agent's limits.

    @return: the controllers whose limit holds now, and for cpu, memory and pids why one does
        not. The absence of io is no failure: it is a weight and limits nothing.
    """
    applied = set()
    missing = {}
    for controller, files in _files(limits).items():
        if controller not in controllers:
            missing[controller] = f"the cgroup v2 controller {controller} is not available here"
            continue
        try:
            for name, text, needed in files:
                with contextlib.ExitStack() as stack:
                    if not needed:  # absent without swap accounting, or on older kernels
                        stack.enter_context(contextlib.suppress(OSError))
                    put(f"{path}/{name}", text)
        except OSError as error:
            missing[controller] = f"{controller}: {error.strerror}"
        else:
            applied.add(controller)
    if "io" in controllers and _weigh_io(path, limits.cpu_shares):
        applied.add("io")
    return frozenset(applied), missing


class AgentCgroup:
    """A cgroup that exists.

    @ivar path: its directory.
    @ivar applied: controllers (cpu, io, memory, pids) whose limits or weights hold.
    @ivar missing: for every other one but io the reason.
    """

    def __init__(
        self,
        path: str,
        applied: frozenset[str] = frozenset(),
        missing: dict[str, str] | None = None,
    ) -> None:
        self.path = path
        self.applied = applied
        self.missing = missing or {}

    @property
    def procs_path(self) -> str:
        """The file that a process writes 0 to, to join."""
        return f"{self.path}/cgroup.procs"

    def add(self, pid: int) -> None:
        """Put a process into it. What the process has used until now stays where it was.

        @raise OSError: ESRCH: it has ended; else as the kernel refuses it.
        """
        put(self.procs_path, str(pid))

    def open(self) -> int:
        """A descriptor of its directory for clone3(2)'s CLONE_INTO_CGROUP; the caller closes it.

        It is an O_PATH one: nothing can be read or written through it. Files below it can be
        opened by a process with the right to it.

        @raise OSError: it is gone.
        """
        return os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """Its processes, as this process sees their ids; 0 for those it cannot see."""
        return [int(line) for line in get(self.procs_path).split()]

    def freeze(self, seconds: float = 5.0) -> bool:
        """Stop all of its processes, or none.

        @param seconds: how long to wait until all have stopped.
        @return: True if all have; else they go on.
        """
        put(f"{self.path}/cgroup.freeze", "1")
        frozen = self._wait("frozen", 1, seconds)
        if not frozen:
            with contextlib.suppress(OSError):  # it is gone
                self.thaw()
        return frozen

    def thaw(self) -> None:
        """Let them go on."""
        put(f"{self.path}/cgroup.freeze", "0")

    def kill(self) -> None:
        """SIGKILL to all of its processes, frozen ones too. Harmless when it is gone."""
        try:
            put(f"{self.path}/cgroup.kill", "1")
        except OSError as error:
            if error.errno not in _GONE:
                raise
            if os.path.isdir(self.path):  # Linux before 5.14
                self._kill_each()

    def _kill_each(self) -> None:
        """One by one, frozen meanwhile, so that none can fork ahead of us."""
        self.freeze(2.0)
        for directory, _, _ in os.walk(self.path):
            for pid in AgentCgroup(directory).pids():
                if pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self.thaw()

    @property
    def events(self) -> CgroupEvents:
        """How often its limits were hit until now."""
        return CgroupEvents(
            oom_kills=_table(f"{self.path}/memory.events").get("oom_kill", 0),
            pids_max=_table(f"{self.path}/pids.events").get("max", 0),
        )

    def remove(self, seconds: float = 5.0) -> None:
        """Kill what is in it and take it away. Idempotent.

        @param seconds: how long to wait for its processes to be gone.
        @raise OSError: EBUSY: something in it does not die.
        """
        self.kill()
        self._wait("populated", 0, seconds)
        for directory, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(directory)

    def _wait(self, key: str, value: int, seconds: float) -> bool:
        """Wait until cgroup.events says so; the kernel tells by POLLPRI when it changes."""
        end = time.monotonic() + seconds
        try:
            descriptor = os.open(f"{self.path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLPRI)
            while f"{key} {value}" not in os.pread(descriptor, 4096, 0).decode().splitlines():
                left = end - time.monotonic()
                if left <= 0:
                    return False
                poll.poll(left * 1000)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return False
        finally:
            os.close(descriptor)
        return True
