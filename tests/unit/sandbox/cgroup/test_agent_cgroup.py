"""What is written to the control files, on ordinary files; the real ones are elsewhere tested."""

from pathlib import Path

import pytest

from clove.sandbox.cgroup.agent_cgroup import (
    AgentCgroup,
    CgroupEvents,
    CgroupLimits,
    apply,
    bfq_weight,
    cpu_weight,
)

FILES = (
    "memory.max",
    "memory.swap.max",
    "memory.oom.group",
    "pids.max",
    "cpu.max",
    "cpu.weight",
)
ALL = frozenset({"cpu", "memory", "pids"})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


def contents(directory: Path) -> dict[str, str]:
    return {name: (directory / name).read_text() for name in FILES}


def test_limits_are_written_as_the_kernel_reads_them(directory: Path) -> None:
    limits = CgroupLimits(
        memory=268435456, max_pids=64, cpu_quota=50000, cpu_period=100000, cpu_shares=1024
    )
    assert apply(str(directory), limits, ALL) == (ALL, {})
    assert contents(directory) == {
        "memory.max": "268435456",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
        "cpu.max": "50000 100000",
        "cpu.weight": "100",
    }


def test_no_limit_is_max(directory: Path) -> None:
    apply(str(directory), CgroupLimits(), ALL)
    found = contents(directory)
    assert found["memory.max"] == found["pids.max"] == "max"
    assert found["cpu.max"] == "max 100000"


def test_a_controller_that_is_not_there_is_reported(directory: Path) -> None:
    applied, missing = apply(str(directory), CgroupLimits(memory=1), frozenset({"pids"}))
    assert applied == {"pids"}
    assert set(missing) == {"cpu", "memory"}
    assert contents(directory)["memory.max"] == ""


def test_a_file_that_refuses_is_reported(directory: Path) -> None:
    (directory / "pids.max").unlink()
    (directory / "memory.swap.max").unlink()  # no swap accounting: does not matter
    applied, missing = apply(str(directory), CgroupLimits(), ALL)
    assert applied == {"cpu", "memory"}
    assert "No such file" in missing["pids"]


@pytest.mark.parametrize(
    ("shares", "weight"), [(0, 1), (2, 1), (1024, 100), (262144, 10000), (10**9, 10000)]
)
def test_weights_at_the_ends_and_the_default(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


def test_weights_grow_with_shares() -> None:
    weights = [cpu_weight(shares) for shares in range(2, 262144, 97)]
    assert weights == sorted(weights)
    assert all(1 <= weight <= 10000 for weight in weights)


def test_disks_are_shared_as_the_cpu_is(directory: Path) -> None:
    for name in ("io.weight", "io.bfq.weight"):
        (directory / name).touch()
    applied, missing = apply(str(directory), CgroupLimits(cpu_shares=262144), ALL | {"io"})
    assert (applied, missing) == (ALL | {"io"}, {})
    assert (directory / "cpu.weight").read_text() == "10000"
    assert (directory / "io.weight").read_text() == "default 10000"
    assert (directory / "io.bfq.weight").read_text() == "default 1000"


@pytest.mark.parametrize("name", ["io.weight", "io.bfq.weight"])
def test_one_way_to_share_disks_is_enough(directory: Path, name: str) -> None:
    (directory / name).touch()
    assert apply(str(directory), CgroupLimits(), ALL | {"io"}) == (ALL | {"io"}, {})
    assert (directory / name).read_text() == "default 100"


def test_a_host_that_shares_no_disk_by_weight_misses_nothing(directory: Path) -> None:
    assert apply(str(directory), CgroupLimits(), ALL | {"io"}) == (ALL, {})
    (directory / "io.weight").touch()
    assert apply(str(directory), CgroupLimits(), ALL) == (ALL, {})
    assert (directory / "io.weight").read_text() == ""


def test_the_weight_for_bfq_goes_through_both_ends_and_the_default() -> None:
    assert [bfq_weight(weight) for weight in (1, 100, 10000)] == [1, 100, 1000]
    weights = [bfq_weight(weight) for weight in range(1, 10001)]
    assert weights == sorted(weights)


def test_events_are_counted(tmp_path: Path) -> None:
    cgroup = AgentCgroup(str(tmp_path))
    assert cgroup.events == CgroupEvents(0, 0)
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\n")
    (tmp_path / "pids.events").write_text("max 5\n")
    assert cgroup.events == CgroupEvents(oom_kills=2, pids_max=5)


def test_what_cannot_be_frozen_in_time_goes_on(tmp_path: Path) -> None:
    (tmp_path / "cgroup.freeze").touch()
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert AgentCgroup(str(tmp_path)).freeze(seconds=0.0) is False
    assert (tmp_path / "cgroup.freeze").read_text() == "0"
