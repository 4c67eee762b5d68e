"""Which Python on which processor a bundle is for."""

from __future__ import annotations

import pytest

from clove.deploy.bundle.target import MACHINES, PYTHONS, Target
from clove.errors import InvalidRequest
from tools import lock


def test_there_is_a_target_for_all_that_the_locks_are_for() -> None:
    assert PYTHONS == lock.VERSIONS
    assert MACHINES == lock.MACHINES


@pytest.mark.parametrize(
    ("python", "machine", "said"),
    [("3.10", "x86_64", "3.11, 3.12"), ("3.11", "riscv64", "x86_64 and aarch64")],
)
def test_another_is_refused_with_those_that_there_are(python: str, machine: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        Target(python, machine)
    assert said in refusal.value.hint


def test_pip_is_told_the_tags_of_that_machine_and_of_no_other() -> None:
    options = Target("3.13", "aarch64").pip_options()
    assert options[:4] == ["--python-version", "3.13", "--implementation", "cp"]
    assert {"cp313", "abi3", "none"} <= set(options)
    platforms = [options[at + 1] for at, each in enumerate(options) if each == "--platform"]
    assert platforms[0] == "manylinux_2_28_aarch64"
    assert {"manylinux2014_aarch64", "manylinux_2_17_aarch64", "linux_aarch64"} <= set(platforms)
    assert all(each.endswith("_aarch64") for each in platforms)
    assert not {"manylinux_2_16_aarch64", "manylinux1_aarch64"} & set(platforms)


def test_markers_are_those_of_the_target_and_not_of_the_running_python() -> None:
    marker = "python_full_version < '3.13' and platform_machine == 'aarch64'"
    assert Target("3.12", "aarch64").needs(marker)
    assert not Target("3.13", "aarch64").needs(marker)
    assert not Target("3.12", "x86_64").needs(marker)
    assert Target("3.14", "x86_64").needs("")
    assert not Target().needs("sys_platform == 'win32'")
