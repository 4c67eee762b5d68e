"""Facts about the machine that figures were taken on; nothing that names it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from bench.peers.found import versions

__all__ = ["facts"]

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def facts() -> dict[str, object]:
    """What a reader needs to compare figures."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory GB": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "kernel": re.match(r"[\d.]*\d", platform.release())[0],  # type: ignore[index]
        "python": platform.python_version(),
        "governor": _read(GOVERNOR) or "not told",
        "virtual": "hypervisor" in _read(Path("/proc/cpuinfo")),
        "peers": versions(),
    }


def _processor() -> str:
    found = re.search(
        r"^(?:model name|Model|CPU part)\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.M
    )
    return found[1].strip() if found else platform.machine()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
