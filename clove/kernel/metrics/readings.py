"""What is read from /proc in one go. For threads: every function here blocks."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from clove.kernel.metrics.cgroupfs import read_figures, read_pids
from clove.kernel.metrics.procfs import (
    Ticks,
    parse_diskstats,
    parse_loadavg,
    parse_meminfo,
    parse_net_dev,
    parse_pid_stat,
    parse_stat,
)
from clove.messages.metrics import CgroupFigures, Disk, Memory, Network

__all__ = ["AgentReading", "SystemReading", "read_agent", "read_system"]

PAGE = os.sysconf("SC_PAGE_SIZE")
_NOT_A_DISK = re.compile(r"(loop|ram|zram|dm-|md|sr|fd)\d")
"""Not real, or counted already as the disks beneath."""


class SystemReading(NamedTuple):
    """The machine."""

    ticks: list[Ticks]
    load: list[float]
    memory: Memory
    disk: Disk
    network: Network


class AgentReading(NamedTuple):
    """An agent's processes together.

    @ivar pid: the main process, or 0 if there is none.
    @ivar ticks: processor time of those that run now, in clock ticks.
    @ivar started: when the main one started, in ticks since boot.
    @ivar now: ticks since boot.
    @ivar rss, vms: bytes.
    """

    pid: int = 0
    ticks: int = 0
    started: int = 0
    now: int = 0
    rss: int = 0
    vms: int = 0
    threads: int = 0
    fds: int = 0
    cgroup: CgroupFigures = CgroupFigures()


def read_system(proc: str) -> SystemReading:
    """The machine's figures; zeros for a file that is not there."""
    memory = parse_meminfo(_text(proc, "meminfo"))
    total = memory.get("MemTotal", 0)
    available = memory.get("MemAvailable", memory.get("MemFree", 0))
    used = max(0, total - available)
    read, written = parse_diskstats(_text(proc, "diskstats"), _disks())
    sent, received = parse_net_dev(_text(proc, "net/dev"))
    return SystemReading(
        ticks=parse_stat(_text(proc, "stat")),
        load=parse_loadavg(_text(proc, "loadavg")) or [0.0, 0.0, 0.0],
        memory=Memory(
            total=total,
            available=available,
            used=used,
            percent=round(100 * used / total, 2) if total else 0.0,
        ),
        disk=Disk(read_bytes=read, write_bytes=written),
        network=Network(bytes_sent=sent, bytes_recv=received),
    )


def read_agent(proc: str, pid: int, cgroup: str | None, most: int) -> AgentReading:
    """An agent's figures: of its main process and all others in its cgroup."""
    figures = read_figures(cgroup) if cgroup else CgroupFigures()
    pids = read_pids(cgroup, most) if cgroup else []
    if pid > 0 and pid not in pids:
        pids.insert(0, pid)
    ticks = started = rss = vms = threads = fds = 0
    for each in pids:
        text = _text(proc, f"{each}/stat")
        if not text:
            continue
        stat = parse_pid_stat(text)
        ticks += stat.ticks
        rss += stat.rss_pages * PAGE
        vms += stat.vms
        threads += stat.threads
        fds += _count(f"{proc}/{each}/fd")
        if each == pid:
            started = stat.started
    now = int(float(_text(proc, "uptime").split()[0]) * os.sysconf("SC_CLK_TCK"))
    return AgentReading(pid, ticks, started, now, rss, vms, threads, fds, figures)


def _disks() -> frozenset[str]:
    try:
        names = os.listdir("/sys/block")
    except OSError:
        return frozenset()
    return frozenset(name for name in names if not _NOT_A_DISK.match(name))


def _count(directory: str) -> int:
    """How many descriptors a process has; 0 if one may not look.

    Since Linux 6.2 its directory's size says it (proc(5)); before, they have to be counted.
    """
    try:
        return os.stat(directory).st_size or len(os.listdir(directory))
    except OSError:
        return 0


def _text(proc: str, name: str) -> str:
    """A file's text, or "" where it cannot be read (the process is gone, say)."""
    try:
        with open(f"{proc}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
