"""Which cgroup a path may name, and what its files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clove.errors import CloveError, InvalidRequest, NotFound, PermissionDenied
from clove.kernel.metrics.cgroupfs import (
    cgroup_path,
    own_cgroup,
    read_cgroup,
    read_figures,
    read_pids,
    v2_mount,
)
from clove.messages.metrics import CgroupFigures

ROOT = "/sys/fs/cgroup"
MOUNT = "/sys/fs/cgroup/unified"
OWN = [f"{MOUNT}/clove/agent-3"]


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("clove/agent-3", OWN[0]),
        ("clove//agent-3/./", OWN[0]),
        ("clove/agent-3/sub", OWN[0] + "/sub"),
        (OWN[0], OWN[0]),
        ("//sys/fs/cgroup/unified/clove/agent-3", None),
    ],
)
def test_ones_own_cgroup_by_any_path(asked: str, path: str | None) -> None:
    if path is None:  # two slashes at the beginning may mean something else (POSIX)
        with pytest.raises(InvalidRequest):
            cgroup_path(asked, ROOT, MOUNT, OWN)
    else:
        assert cgroup_path(asked, ROOT, MOUNT, OWN) == path


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ("clove/agent-3/../agent-4", InvalidRequest),
        ("../../../proc/1", InvalidRequest),
        ("..", InvalidRequest),
        ("/etc", InvalidRequest),
        ("/sys/fs/cgroupx/a", InvalidRequest),
        ("/sys/fs", InvalidRequest),
        ("/", InvalidRequest),
        ("clove\0", InvalidRequest),
        ("a/" * 3000, InvalidRequest),
        ("", PermissionDenied),
        ("clove", PermissionDenied),
        ("clove/agent-33", PermissionDenied),
        ("clove/agent-4", PermissionDenied),
        ("clove/AGENT-3", PermissionDenied),
        (ROOT, PermissionDenied),
    ],
)
def test_no_path_leads_out(asked: str, error: type[CloveError]) -> None:
    with pytest.raises(error):
        cgroup_path(asked, ROOT, MOUNT, OWN)


def test_operators_may_name_any_cgroup_but_nothing_else() -> None:
    assert cgroup_path("system.slice", ROOT, MOUNT, None) == f"{MOUNT}/system.slice"
    assert cgroup_path(f"{ROOT}/memory", ROOT, MOUNT, None) == f"{ROOT}/memory"
    with pytest.raises(InvalidRequest):
        cgroup_path("/etc", ROOT, MOUNT, None)


FILES = {
    "cgroup.procs": "12\n34\n56\n",
    "cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\n"
    "nr_throttled 2\nthrottled_usec 30\nnr_bursts 0\n",
    "cpu.max": "50000 100000\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.max": "268435456\n",
    "memory.events": "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n",
    "pids.current": "3\n",
    "pids.max": "64\n",
}


@pytest.fixture
def cgroup(short_dir: str) -> Path:
    """A directory with files as cgroup v2 writes them, for the formats' sake."""
    path = Path(os.path.realpath(short_dir), "g")
    path.mkdir()
    for name, text in FILES.items():
        Path(path, name).write_text(text)
    return path


def test_all_figures_of_a_cgroup(cgroup: Path) -> None:
    metrics = read_cgroup(str(cgroup))
    assert metrics.valid
    assert (metrics.cpu.usage_usec, metrics.cpu.nr_throttled) == (1500, 2)
    assert (metrics.cpu.quota_usec, metrics.cpu.period_usec) == (50_000, 100_000)
    assert (metrics.memory.current, metrics.memory.peak) == (4096, 8192)
    assert (metrics.memory.max, metrics.memory.oom_kills) == (256 << 20, 1)
    assert (metrics.pids.current, metrics.pids.max) == (3, 64)
    assert read_figures(str(cgroup)) == CgroupFigures(
        valid=True, cpu_usage_usec=1500, mem_current=4096
    )
    assert read_pids(str(cgroup), 2) == [12, 34]


def test_no_limit_is_zero(cgroup: Path) -> None:
    Path(cgroup, "cpu.max").write_text("max 100000\n")
    Path(cgroup, "memory.max").write_text("max\n")
    Path(cgroup, "pids.max").unlink()
    metrics = read_cgroup(str(cgroup))
    assert (metrics.cpu.quota_usec, metrics.memory.max, metrics.pids.max) == (0, 0, 0)


def test_what_is_no_cgroup(cgroup: Path) -> None:
    link = cgroup.parent / "link"
    link.symlink_to(cgroup)
    for path in (link, cgroup.parent, cgroup / "missing"):
        with pytest.raises(NotFound):
            read_cgroup(str(path))
    assert not read_figures(str(cgroup / "missing")).valid
    assert read_pids(str(cgroup / "missing"), 10) == []


def test_the_hosts_own_cgroups() -> None:
    mount = v2_mount(ROOT)
    own = own_cgroup("/proc", mount)
    if own is None:
        pytest.skip("this host has no cgroup version 2 below /sys/fs/cgroup")
    metrics = read_cgroup(own)
    assert metrics.valid
    assert metrics.path == own
    assert os.getpid() in read_pids(own, 1 << 20)


def test_a_host_without_version_2(cgroup: Path) -> None:
    process = cgroup / "self"
    process.mkdir()
    Path(process, "cgroup").write_text("4:memory:/a\n1:cpu:/\n")
    assert own_cgroup(str(cgroup), ROOT) is None
    Path(process, "cgroup").write_text("4:memory:/a\n0::/no/such\n")
    assert own_cgroup(str(cgroup), ROOT) is None
