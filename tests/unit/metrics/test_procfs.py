"""The text of /proc's files to numbers, and processor use from two readings."""

from __future__ import annotations

import os
from pathlib import Path

from clove.kernel.metrics.procfs import (
    Ticks,
    parse_diskstats,
    parse_loadavg,
    parse_meminfo,
    parse_net_dev,
    parse_pid_stat,
    parse_stat,
)
from clove.kernel.metrics.sampling import AgentCpu, SystemCpu

STAT = """\
cpu  100 10 50 800 40 5 5 0 30 0
cpu0 60 10 25 380 20 5 0 0 30 0
cpu1 40 0 25 420 20 0 5 0 0 0
intr 1 2 3
"""
DISKSTATS = """\
   8       0 sda 10 0 100 5 20 0 200 7 0 0 0 0 0 0 0 0 0
   8       1 sda1 10 0 100 5 20 0 200 7 0 0 0 0 0 0 0 0 0
   7       0 loop0 1 0 8 0 0 0 0 0 0 0 0
 259       0 nvme0n1 1 0 2 0 1 0 4 0 0 0 0
"""
NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0
  eth0:  300 3 0 0 0 0 0 0 40 2 0 0 0 0 0 0
 wlan0:7 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0
"""


def test_processor_time_without_what_is_idle() -> None:
    assert parse_stat(STAT) == [Ticks(170, 1010), Ticks(100, 500), Ticks(70, 510)]
    assert parse_stat("") == []


def test_memory_in_bytes() -> None:
    text = "MemTotal:       2048 kB\nHugePages_Total:       3\nEmpty:\n"
    assert parse_meminfo(text) == {"MemTotal": 2 << 20, "HugePages_Total": 3}


def test_disks_without_their_partitions() -> None:
    disks = frozenset({"sda", "nvme0n1"})
    assert parse_diskstats(DISKSTATS, disks) == (102 * 512, 204 * 512)


def test_network_without_loopback() -> None:
    assert parse_net_dev(NET_DEV) == (42, 307)


def test_load() -> None:
    assert parse_loadavg("0.50 1.25 2.00 1/234 5678\n") == [0.5, 1.25, 2.0]


def test_a_process_may_be_called_anything() -> None:
    rest = " S 1 1 1 0 -1 0 0 0 0 0 7 5 0 0 20 0 3 0 900 4096 2 18446744073709551615 0"
    for name in ("python", "a) R 1 (b", ") ) )", "new\nline"):
        stat = parse_pid_stat(f"42 ({name}){rest}")
        assert (stat.ticks, stat.threads, stat.started) == (12, 3, 900)
        assert (stat.vms, stat.rss_pages) == (4096, 2)


def test_this_process_can_be_read() -> None:
    stat = parse_pid_stat(Path(f"/proc/{os.getpid()}/stat").read_text())
    assert stat.threads >= 1
    assert stat.rss_pages > 0


def test_the_first_sample_is_since_boot_and_the_next_since_the_last() -> None:
    cpu = SystemCpu()
    assert cpu.percent([Ticks(50, 100), Ticks(50, 100)]) == [50.0, 50.0]
    assert cpu.percent([Ticks(51, 104), Ticks(50, 104)]) == [25.0, 0.0]
    assert cpu.percent([Ticks(51, 104), Ticks(50, 104)]) == [0.0, 0.0]
    assert cpu.percent([Ticks(10, 20)]) == [50.0]
    assert cpu.percent([Ticks(9, 21)]) == [0.0]


def test_an_agent_is_measured_against_its_start_then_its_last_sample() -> None:
    cpu = AgentCpu(min_ticks=10)
    assert cpu.percent(1, 42, ticks=50, started=900, now=1000) == 50.0
    assert cpu.percent(1, 42, ticks=250, started=900, now=1100) == 200.0
    assert cpu.percent(1, 42, ticks=251, started=900, now=1105) == 200.0  # too soon
    assert cpu.percent(1, 42, ticks=240, started=900, now=1200) == 0.0  # a child has ended
    assert cpu.percent(1, 43, ticks=5, started=1290, now=1300) == 50.0  # it was restarted
    assert cpu.percent(1, 0, ticks=0, started=0, now=1300) == 0.0


def test_agents_that_are_gone_are_forgotten() -> None:
    cpu = AgentCpu(min_ticks=1)
    cpu.percent(1, 42, ticks=50, started=0, now=100)
    cpu.keep_only([2])
    assert cpu.percent(1, 42, ticks=60, started=0, now=120) == 50.0
