"""What is shown of an agent's memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from clove.cli.console import Console
from clove.cli.stats import stats
from clove.cli.top import top
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


class _ManyAgents(Console):
    """A kernel that has more agents than it shows."""

    def client(self, **_: Any) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def get_all_agent_metrics(self) -> dict[str, Any]:
        return {"agents": [], "count": 0, "truncated": True}

    def get_system_metrics(self) -> dict[str, Any]:
        memory = {"used": 1, "total": 2}
        return {"metrics": {"cpu": {"percent": 1, "count": 1, "load_avg": [0]}, "memory": memory}}


@pytest.mark.parametrize("command", [stats, top])
def test_more_agents_than_the_kernel_looks_at_are_said(command: Any) -> None:
    words = ["--count", "1"] if command is top else []
    told = CliRunner().invoke(command, words, obj=_ManyAgents(None, as_json=False))
    assert "more agents than the kernel looks at" in told.stderr
    shown = CliRunner().invoke(command, [*words, "--json"], obj=_ManyAgents(None, as_json=True))
    assert json.loads(shown.stdout.splitlines()[-1])["truncated"] is True
