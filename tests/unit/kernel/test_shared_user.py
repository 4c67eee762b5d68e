"""What doctor says of what agents share because they are one user."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clove.kernel.descriptors import agents_within
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.shared_user import Facts, look, shared_by_agents
from clove.sandbox.probe import Feature

USER = Facts(
    root=False,
    descriptors=20_000,
    core=-1,
    core_pattern="core",
    instances=128,
    watches=8192,
    epoll=1000,
    pipes_soft=16_384,
    pipes_hard=0,
    linux="6.1.0-13-cloud-amd64",
)


def told(facts: Facts) -> dict[str, Feature]:
    return {each.name: each for each in shared_by_agents(facts, AgentLimits())}


def test_under_root_nothing_is_shared() -> None:
    found = told(replace(USER, root=True))
    assert all(each.available for each in found.values())
    assert found["shared.epoll"].detail == "each agent is a user of its own"


def test_what_nothing_holds_is_told_with_what_would_help() -> None:
    epoll = told(USER)["shared.epoll"]
    assert not epoll.available
    assert "1000" in epoll.detail
    assert "root" in epoll.remedy
    assert "max_user_watches" in epoll.remedy


def test_an_agent_has_a_part_of_inotify() -> None:
    assert "16 of 128 instances, 1024 of 8192 watches" in told(USER)["shared.inotify"].detail


def test_a_kernel_with_few_descriptors_gives_agents_fewer() -> None:
    assert "agents stop at 1024" in told(USER)["shared.descriptors"].detail
    few = told(replace(USER, descriptors=1024))["shared.descriptors"]
    assert "agents stop at 512" in few.detail
    assert "LimitNOFILE" in few.remedy


def test_a_hard_limit_of_pipes_stops_all() -> None:
    assert told(USER)["shared.pipes"].available
    assert not told(replace(USER, pipes_hard=9000))["shared.pipes"].available


@pytest.mark.parametrize(
    ("linux", "held"), [("5.13.9", False), ("5.14.0-rc1", True), ("6.1.0-13-amd64", True)]
)
def test_an_older_linux_counts_signals_for_all_agents(linux: str, held: bool) -> None:
    assert told(replace(USER, linux=linux))["shared.signals"].available is held


@pytest.mark.parametrize(
    ("pattern", "core", "root", "held"),
    [
        ("core", 0, False, True),
        ("|/usr/lib/handler", -1, False, True),
        ("|/usr/lib/handler", 0, False, False),
        ("|/usr/lib/handler", 0, True, True),
        ("@/run/handler", -1, True, False),
    ],
)
def test_where_cores_go(pattern: str, core: int, root: bool, held: bool) -> None:
    cores = told(replace(USER, core_pattern=pattern, core=core, root=root))["cores"]
    assert cores.available is held
    assert bool(cores.remedy) is not held


def test_this_host_can_be_looked_at() -> None:
    facts = look()
    assert facts.instances > 0
    assert facts.epoll > 0


def test_agents_never_have_more_than_half_of_the_kernel_s_descriptors() -> None:
    bounds = AgentLimits()
    assert agents_within(bounds, 1 << 16) == bounds
    assert agents_within(bounds, 1024).descriptors == 512
