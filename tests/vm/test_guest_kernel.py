"""Where the kernel itself is, what its death leaves, and what it says of this system."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from clove.errors import IsolationUnavailable
from clove.sandbox.cgroup.tree import KERNEL_WEIGHT
from tests.vm.conftest import (
    PROGRAMS,
    ROOT,
    Unit,
    answers,
    cgroup_of,
    kernel_command,
    output,
    running,
    until,
    words,
)
from tests.vm.sleeping import SLEEP

CONTROLLERS = {"cpu", "memory", "pids"}
"""Those that each of the units has been given; the systems' own have io as well."""


def test_the_kernel_moves_to_a_leaf_so_that_its_cgroup_can_be_divided(unit: Unit) -> None:
    assert cgroup_of(unit.pid) == unit.base / "clove-kernel"
    assert words(unit.base / "cgroup.procs") == []
    assert set(words(unit.base / "cgroup.subtree_control")) >= CONTROLLERS
    agents = unit.base / f"clove-{unit.pid}"
    assert set(words(agents / "cgroup.subtree_control")) >= CONTROLLERS
    assert words(agents / "cgroup.procs") == []


def test_the_kernel_weighs_more_than_all_agents_together(unit: Unit) -> None:
    agents = unit.base / f"clove-{unit.pid}"
    assert words(unit.base / "clove-kernel" / "cpu.weight") == [str(KERNEL_WEIGHT)]
    assert words(agents / "zygote" / "cpu.weight") == [str(KERNEL_WEIGHT)]
    assert words(agents / "cpu.weight") == ["100"]


def killed_while_an_agent_runs(unit: Unit) -> tuple[int, int]:
    """The pids of a kernel that was killed, and of the agent that it had."""
    kernel = unit.pid
    with unit.client() as client:
        agent = client.spawn("orphan", unit.script(SLEEP))["pid"]
        os.kill(kernel, signal.SIGKILL)
    until(lambda: unit.pid not in (0, kernel), "systemd starts the kernel again")
    unit.wait()
    return kernel, agent


@pytest.mark.parametrize("user", ["root", "tester"])
@pytest.mark.parametrize("mode", ["control-group", "mixed", "process"])
def test_a_kernel_that_was_killed_starts_again_in_clean_cgroups(user: str, mode: str) -> None:
    """With KillMode=process the dead kernel's processes end by themselves, in their own time.

    Until the last has, systemd cannot start anything in the unit's cgroup: it is divided, so
    each try ends with 219/CGROUP before the kernel's first instruction. Hence no start limit.
    """
    restart = ["Delegate=yes", f"User={user}", "Restart=always", "RestartSec=100ms"]
    restart.append("StartLimitIntervalSec=0")
    name = f"kagain-{user}-{mode}"
    with running(Unit(name, user, properties=(*restart, f"KillMode={mode}"))) as unit:
        kernel, agent = killed_while_an_agent_runs(unit)
        until(lambda: not Path(f"/proc/{agent}").exists(), "the orphan ends")
        assert [path.name for path in unit.base.glob("clove-*")].count(f"clove-{kernel}") == 0
        with unit.client() as client:
            again = client.spawn("again", unit.script(SLEEP))
            assert again["isolation"]["fully_isolated"] is True
            assert cgroup_of(again["pid"]).parent == unit.base / f"clove-{unit.pid}"


@contextlib.contextmanager
def by_hand(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A kernel that root starts without any unit."""
    with open(directory / "log", "ab") as log:
        process = subprocess.Popen(kernel_command(directory), stdout=log, stderr=log)
    try:
        until(lambda: answers(f"{directory}/s"), "the kernel answers")
        yield process
    finally:
        process.terminate()
        process.wait()


def test_root_without_a_unit_makes_its_own_subtree_and_sweeps_a_dead_ones() -> None:
    """Beside systemd's slices, in none of them: others live there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        script = directory / "agent.py"
        script.write_text(SLEEP)
        with by_hand(directory) as process, CloveClient(f"{directory}/s") as client:
            agent = client.spawn("first", str(script))
            assert agent["isolation"]["fully_isolated"] is True
            left = cgroup_of(agent["pid"])
            process.kill()
        assert left.exists()
        with by_hand(directory) as process, CloveClient(f"{directory}/s") as client:
            assert not left.exists()
            assert not left.parent.exists()
            place = cgroup_of(client.spawn("second", str(script))["pid"])
            assert place.parent == ROOT / f"clove-{process.pid}"
        assert list(ROOT.rglob("clove-*/agent-*")) == []
        assert not place.parent.exists()


def test_without_delegation_a_user_gets_rlimits_and_is_told_so() -> None:
    with running(Unit("kbare", "tester", properties=("User=tester",))) as unit:
        script = unit.script(SLEEP)
        with unit.client() as client:
            report = client.spawn("default", script)["isolation"]
            assert not any(report["cgroups"].values())
            assert report["fully_isolated"] is False
            assert "rlimits" in report["degraded_reason"]
            with pytest.raises(IsolationUnavailable, match="memory") as refused:
                client.spawn("named", script, limits={"memory": 64 << 20})
            assert "Delegate=yes" in refused.value.hint


DELEGATED = (
    *("systemd-run", "--quiet", "--wait", "--pipe"),
    *("-p", "Delegate=yes", "-p", "User=tester"),
)


def diagnosis(*prefix: str) -> dict[str, dict[str, str | bool]]:
    """What `clove doctor` says of each feature."""
    report = json.loads(output(*prefix, str(PROGRAMS / "clove"), "doctor", "--json"))
    return {feature["name"]: feature for feature in report["features"]}


def missing(found: dict[str, dict[str, str | bool]]) -> set[str]:
    """What this machine does not have, but a way out: the guest is given no network."""
    return {
        name
        for name, feature in found.items()
        if not feature["available"] and not name.startswith("way_out.")
    }


def test_doctor_finds_everything_here() -> None:
    """For root without a unit, too."""
    found = diagnosis()
    assert missing(found) <= {"shared.epoll"}  # Linux gives a machine of little memory few watches
    assert found["cgroup"]["detail"] == str(ROOT)
    assert len(found) > 8


def test_doctor_finds_everything_for_a_user_with_a_delegated_cgroup() -> None:
    """And says on which disks weights count."""
    switch = ROOT / "io.cost.qos"
    disk = Path("/sys/block/vda/dev").read_text().strip()
    switch.write_text(f"{disk} enable=1\n")
    try:
        found = diagnosis(*DELEGATED)
    finally:
        switch.write_text(f"{disk} enable=0\n")
    assert missing(found) <= {"shared.epoll"}  # Linux gives a machine of little memory few watches
    assert found["cgroup.io"]["detail"] == "weights, which count on vda"
