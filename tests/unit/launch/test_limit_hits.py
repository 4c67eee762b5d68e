"""Which limit ended an agent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorFromThreads

from clove.errors import LimitExceeded, Unavailable
from clove.kernel.launch.limit_hits import LimitWatch, judge, sentence
from clove.sandbox.cgroup.tree import AgentCgroup, CgroupEvents, CgroupLimits
from clove.sandbox.interface import REMARK, ExitStatus
from clove.threads.threads import Threads

KILLED = ExitStatus(signal=9)
FAILED = ExitStatus(code=1)


@pytest.mark.parametrize(
    ("status", "before", "after", "reason"),
    [
        (KILLED, CgroupEvents(), CgroupEvents(oom_kills=1), "oom"),
        (KILLED, CgroupEvents(oom_kills=2), CgroupEvents(oom_kills=2), ""),
        (KILLED, CgroupEvents(), CgroupEvents(pids_max=3), ""),
        (KILLED, CgroupEvents(), CgroupEvents(oom_kills=1, pids_max=3), "oom"),
        (FAILED, CgroupEvents(), CgroupEvents(oom_kills=1), ""),
        (FAILED, CgroupEvents(), CgroupEvents(pids_max=1), "pids"),
        (FAILED, CgroupEvents(pids_max=1), CgroupEvents(pids_max=1), ""),
        (ExitStatus(signal=6), CgroupEvents(), CgroupEvents(pids_max=1), "pids"),
        (ExitStatus(code=0), CgroupEvents(), CgroupEvents(pids_max=1), ""),
        (ExitStatus(signal=15), CgroupEvents(), CgroupEvents(pids_max=1), ""),
    ],
)
def test_a_limit_is_the_reason_only_if_it_was_hit_in_this_run_and_fits_the_end(
    status: ExitStatus, before: CgroupEvents, after: CgroupEvents, reason: str
) -> None:
    judged = judge(status, before, after)
    assert judged == ExitStatus(status.code, status.signal, reason)


def test_a_reason_that_is_known_already_stays() -> None:
    known = ExitStatus(signal=9, reason="timeout")
    assert judge(known, CgroupEvents(), CgroupEvents(oom_kills=1)) is known


def test_the_log_names_the_limit() -> None:
    limits = CgroupLimits(memory=67108864, max_pids=16)
    assert "memory limit of 67108864 bytes" in sentence("oom", limits)
    assert "limit of 16 processes" in sentence("pids", limits)
    assert sentence("exited", limits) == ""


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads(cast(IReactorFromThreads, reactor), 1)
    pool.start()
    yield pool
    pool.stop()


def put(cgroup: Path, oom_kills: int, pids_max: int = 0) -> AgentCgroup:
    """A directory with the files that a cgroup has."""
    cgroup.joinpath("memory.events").write_text(f"max 7\noom 1\noom_kill {oom_kills}\n")
    cgroup.joinpath("pids.events").write_text(f"max {pids_max}\n")
    return AgentCgroup(str(cgroup))


async def test_what_happened_during_a_run_reaches_its_status_and_its_log(
    threads: Threads, tmp_path: Path
) -> None:
    cgroup = put(tmp_path, 1)
    watch = LimitWatch(threads, cgroup, CgroupLimits(memory=1024))
    await watch.begin()
    lines: list[tuple[int, bytes]] = []
    assert await watch.end(KILLED, lambda *line: lines.append(line)) is KILLED
    assert lines == []
    put(tmp_path, 2)
    ended = await watch.end(KILLED, lambda *line: lines.append(line))
    assert ended.reason == "oom"
    assert lines == [(REMARK, sentence("oom", CgroupLimits(memory=1024)).encode())]


async def test_an_end_that_no_limit_can_have_made_is_told_at_once(tmp_path: Path) -> None:
    never: Any = None
    watch = LimitWatch(never, put(tmp_path, 1, 1), CgroupLimits())
    for status in (ExitStatus(code=0), ExitStatus(signal=signal.SIGTERM)):
        assert await watch.end(status, lambda *_: None) is status


async def test_without_its_cgroup_an_end_is_told_as_it_is(threads: Threads, tmp_path: Path) -> None:
    watch = LimitWatch(threads, AgentCgroup(str(tmp_path / "gone")), CgroupLimits())
    await watch.begin()
    assert await watch.end(KILLED, lambda *_: None) is KILLED


async def test_a_launch_that_its_limits_forbade_is_told_as_that(
    threads: Threads, tmp_path: Path
) -> None:
    cgroup = put(tmp_path, 0)
    watch = LimitWatch(threads, cgroup, CgroupLimits(memory=1024, max_pids=1))
    await watch.begin()
    problem = Unavailable("it ended")
    assert await watch.explain_refusal(problem) is problem
    put(tmp_path, 0, 1)
    assert "limit of 1 processes" in (await watch.explain_refusal(problem)).message
    put(tmp_path, 1, 1)
    refusal = await watch.explain_refusal(problem)
    assert isinstance(refusal, LimitExceeded)
    assert "memory limit of 1024 bytes" in refusal.message
