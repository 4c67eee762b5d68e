"""`clove state` and `clove llm`, as processes, against a real kernel."""

from __future__ import annotations

import json
from typing import Any

from clove import CloveClient
from tests.integration.commands import clove
from tests.integration.conftest import SLEEP

__all__ = ["clove"]


def test_state_is_read_and_changed(clove: Any, client: CloveClient) -> None:
    assert clove("state", "set", "jobs/one", "text").stdout == "jobs/one has version 1\n"
    assert clove("state", "set", "--value-json", "jobs/two", '{"n": 2}').returncode == 0
    assert clove("state", "set", "jobs/three", "-", stdin="from\nstdin").returncode == 0
    assert clove("state", "list", "jobs/").stdout.split() == ["jobs/one", "jobs/three", "jobs/two"]
    assert clove("state", "get", "jobs/one").stdout == "text\n"
    assert json.loads(clove("state", "get", "jobs/two").stdout) == {"n": 2}
    assert clove("state", "get", "jobs/three").stdout == "from\nstdin\n"
    assert client.fetch("jobs/two")["value"] == {"n": 2}
    result = clove("state", "get", "jobs/onne")
    assert result.returncode == 1
    assert "did you mean jobs/one?" in result.stderr
    assert clove("state", "set", "--value-json", "x", "{").returncode == 2
    assert clove("state", "set", "--if-version", "0", "jobs/one", "new").returncode == 1
    result = clove("state", "delete", "jobs/one", "jobs/none")
    assert (result.returncode, result.stdout) == (1, "deleted jobs/one\n")
    for key in ("jobs/two", "jobs/three"):
        client.delete_key(key)


def test_llm_usage_lists_agents(clove: Any, client: CloveClient, script: Any) -> None:
    client.spawn("thinker", script(SLEEP), llm_budget=1000)
    [line] = [line for line in clove("llm", "usage").stdout.splitlines() if "thinker" in line]
    assert line.split()[-3:] == ["0", "0", "1000"]
    one = json.loads(clove("llm", "usage", "--json").stdout)
    assert one["llm"] == {"tokens": 0, "calls": 0, "budget": 1000}
    result = clove("llm", "ask", "hello")
    assert (result.returncode, bool(result.stdout)) == (0, True)
    assert result.stderr.endswith(" tokens of offline-1\n")
    assert json.loads(clove("llm", "ask", "--json", "-", stdin="hello").stdout)["provider"]
