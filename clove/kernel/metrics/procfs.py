"""The text of /proc's files to numbers (proc(5)). Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "SECTOR",
    "Ticks",
    "parse_diskstats",
    "parse_loadavg",
    "parse_meminfo",
    "parse_net_dev",
    "parse_pid_stat",
    "parse_stat",
]

SECTOR: Final = 512
"""Bytes of a sector in diskstats, whatever the disk's own are (Documentation/admin-guide/iostats)."""


class Ticks(NamedTuple):
    """Processor time since boot, in clock ticks."""

    busy: int
    total: int


class PidStat(NamedTuple):
    """One process, from /proc/PID/stat.

    @ivar ticks: user and system time, in clock ticks.
    @ivar started: ticks since boot when it started.
    @ivar vms: bytes of virtual memory.
    @ivar rss_pages: pages of resident memory.
    """

    ticks: int
    threads: int
    started: int
    vms: int
    rss_pages: int


def parse_stat(text: str) -> list[Ticks]:
    """The lines `cpu`, `cpu0`, `cpu1`...: all together first, then each.

    Time in iowait counts as idle; guest time is part of user time already.
    """
    found: list[Ticks] = []
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break
        numbers = [int(word) for word in line.split()[1:9]]
        total = sum(numbers)
        found.append(Ticks(total - sum(numbers[3:5]), total))
    return found


def parse_meminfo(text: str) -> dict[str, int]:
    """Names to bytes."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words:
            found[name] = int(words[0]) * (1024 if words[1:] == ["kB"] else 1)
    return found


def parse_loadavg(text: str) -> list[float]:
    """The averages over 1, 5 and 15 minutes."""
    return [float(word) for word in text.split()[:3]]


def parse_diskstats(text: str, disks: frozenset[str]) -> tuple[int, int]:
    """(bytes read, bytes written) of the named disks together."""
    read = written = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 10 and words[2] in disks:
            read += int(words[5]) * SECTOR
            written += int(words[9]) * SECTOR
    return read, written


def parse_net_dev(text: str) -> tuple[int, int]:
    """(bytes sent, bytes received) of all interfaces but loopback."""
    sent = received = 0
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = rest.split()
        if name.strip() != "lo" and len(words) >= 9:
            received += int(words[0])
            sent += int(words[8])
    return sent, received


def parse_pid_stat(text: str) -> PidStat:
    """One process. Its name, in brackets, may hold any character, also `)`."""
    words = text[text.rindex(")") + 1 :].split()
    return PidStat(
        ticks=int(words[11]) + int(words[12]),
        threads=int(words[17]),
        started=int(words[19]),
        vms=int(words[20]),
        rss_pages=int(words[21]),
    )
