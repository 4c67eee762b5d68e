"""Which of the kernel's threads come first."""

from __future__ import annotations

import os
import threading

import pytest

from clove.kernel import processor_time
from clove.kernel.processor_time import WORKERS_NICE, yield_to_reactor


def worker(nice: int = 0) -> int:
    """The niceness that one has in the end."""
    found: list[int] = []

    def work() -> None:
        if nice:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        yield_to_reactor()
        found.append(os.getpriority(os.PRIO_PROCESS, 0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("preferred", [True, False])
@pytest.mark.parametrize("by_cgroup", [True, False])
def test_workers_come_after_the_reactor_only_where_their_session_comes_before_others(
    monkeypatch: pytest.MonkeyPatch, preferred: bool, by_cgroup: bool
) -> None:
    monkeypatch.setattr(processor_time, "is_preferred", lambda: preferred)
    monkeypatch.setattr(processor_time, "has_processor_weight", lambda: by_cgroup)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    yields = preferred and not by_cgroup
    assert worker() == (max(before, WORKERS_NICE) if yields else before)
    assert worker(nice=15) == 15
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
