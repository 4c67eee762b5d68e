"""Files of one cgroup (version 2) to numbers, and which cgroup a path may name.

Names and formats: Documentation/admin-guide/cgroup-v2 of Linux. The functions
that read are for threads.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import PurePosixPath

from clove.errors import InvalidRequest, NotFound, PermissionDenied
from clove.messages.metrics import (
    CgroupCpu,
    CgroupFigures,
    CgroupMemory,
    CgroupMetrics,
    CgroupPids,
)

__all__ = [
    "cgroup_path",
    "is_below",
    "own_cgroup",
    "read_cgroup",
    "read_figures",
    "read_pids",
    "v2_mount",
]

MAX_PATH = 4096
"""Characters of a path, as Linux has it."""
MAX_FILE = 1 << 16
"""Bytes read of a file; those used here are much shorter (cgroup.procs is cut)."""


def cgroup_path(asked: str, root: str, mount: str, allowed: Collection[str] | None) -> str:
    """The absolute path that a request names. Pure.

    @param asked: absolute, or relative to `mount`.
    @param root: where the mounts of cgroups are.
    @param mount: where version 2 is mounted: root itself, or below it.
    @param allowed: directories that it must be in or below; None: all of root.
    @raise InvalidRequest: not below root, or written in a way that could
        mean something else (`..`, NUL).
    @raise PermissionDenied: not in what is allowed (rule `cgroup-subtree`).
    """
    if "\0" in asked or len(asked) > MAX_PATH:
        raise InvalidRequest("cgroup_path has a NUL or is too long")
    if ".." in PurePosixPath(asked).parts:
        raise InvalidRequest("cgroup_path must not have `..` in it")
    path = os.path.normpath(os.path.join(mount, asked))
    if not is_below(path, root):
        raise InvalidRequest(f"cgroup_path must be below {root}")
    if allowed is not None and not any(is_below(path, allowed_path) for allowed_path in allowed):
        raise PermissionDenied(
            "an agent sees its own cgroup and those of its descendants only",
            rule="cgroup-subtree",
            hint="ask without cgroup_path for your own",
        )
    return path


def is_below(path: str, directory: str) -> bool:
    """Whether a normal path is the directory or in it (`/ab` is not in `/a`)."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def v2_mount(root: str) -> str:
    """Where version 2 is mounted: root itself, or `unified` in it (systemd's hybrid layout)."""
    hybrid = f"{root}/unified"
    return hybrid if os.path.isfile(f"{hybrid}/cgroup.procs") else root


def own_cgroup(proc: str, mount: str) -> str | None:
    """The cgroup that this process is in; None if it is in none of version 2."""
    for line in _text(f"{proc}/self", "cgroup").splitlines():
        number, _, rest = line.partition(":")
        if number == "0":
            path = os.path.normpath(mount + rest.partition(":")[2])
            return path if os.path.isfile(f"{path}/cgroup.procs") else None
    return None


def read_cgroup(path: str) -> CgroupMetrics:
    """All that METRICS_CGROUP tells.

    @raise NotFound: no such cgroup, or the path leads elsewhere through a link.
    """
    if os.path.realpath(path) != path or not os.path.isfile(f"{path}/cgroup.procs"):
        raise NotFound(f"no cgroup at {path}")
    cpu = _table(_text(path, "cpu.stat"))
    quota, _, period = _text(path, "cpu.max").partition(" ")
    return CgroupMetrics(
        valid=True,
        path=path,
        cpu=CgroupCpu(
            usage_usec=cpu.get("usage_usec", 0),
            user_usec=cpu.get("user_usec", 0),
            system_usec=cpu.get("system_usec", 0),
            nr_periods=cpu.get("nr_periods", 0),
            nr_throttled=cpu.get("nr_throttled", 0),
            throttled_usec=cpu.get("throttled_usec", 0),
            quota_usec=_number(quota),
            period_usec=_number(period),
        ),
        memory=CgroupMemory(
            current=_number(_text(path, "memory.current")),
            peak=_number(_text(path, "memory.peak")),
            max=_number(_text(path, "memory.max")),
            oom_kills=_table(_text(path, "memory.events")).get("oom_kill", 0),
        ),
        pids=CgroupPids(
            current=_number(_text(path, "pids.current")),
            max=_number(_text(path, "pids.max")),
        ),
    )


def read_figures(path: str) -> CgroupFigures:
    """The few that METRICS_AGENT tells; not valid where nothing counts them."""
    usage = _table(_text(path, "cpu.stat")).get("usage_usec")
    memory = _text(path, "memory.current")
    if usage is None and not memory:
        return CgroupFigures()
    return CgroupFigures(valid=True, cpu_usage_usec=usage or 0, mem_current=_number(memory))


def read_pids(path: str, most: int) -> list[int]:
    """Host pids of the processes in a cgroup; at most so many."""
    return [int(word) for word in _text(path, "cgroup.procs").split()[:most] if word.isdigit()]


def _text(path: str, name: str) -> str:
    """A file's text, or "" if there is no such file (any more)."""
    try:
        with open(f"{path}/{name}", encoding="ascii") as file:
            return file.read(MAX_FILE)
    except (OSError, UnicodeDecodeError):
        return ""


def _number(text: str) -> int:
    """A number; `max` and nothing are 0."""
    word = text.strip()
    return int(word) if word.isdigit() else 0


def _table(text: str) -> dict[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
