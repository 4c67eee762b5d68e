"""What an agent's log says of an error that its script did not catch."""

from __future__ import annotations

from typing import Any

from clove import CloveClient


def test_an_uncaught_denial_shows_its_rule_and_hint(client: CloveClient, script: Any) -> None:
    path = script("from clove import CloveClient\nCloveClient().spawn('x', '/app/x.py')\n")
    agent = client.spawn("careless", path)
    assert client.wait(agent["id"], timeout=20)["exit_code"] == 1
    lines = [line["text"] for line in client.logs(agent["id"])["lines"]]
    message = next(n for n, line in enumerate(lines) if "PermissionDenied: " in line)
    assert lines[message + 1].startswith("rule: ")
    assert "standard" in lines[message + 1]
