"""What is shown of an agent's memory."""

from __future__ import annotations

from typing import Any

import pytest

from clove.cli.usage import memory_of


@pytest.mark.parametrize(
    ("cgroup", "rss", "shown"),
    [
        ({"valid": True, "mem_current": 300}, 200, 300),
        ({"valid": True, "mem_current": 0}, 200, 200),
        ({"valid": False, "mem_current": 0}, 200, 200),
    ],
)
def test_a_cgroup_that_counts_no_memory_is_not_asked(
    cgroup: dict[str, Any], rss: int, shown: int
) -> None:
    assert memory_of({"cgroup": cgroup, "process": {"memory": {"rss": rss}}}) == shown
