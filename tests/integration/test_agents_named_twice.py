"""A request that names two agents is refused: which of them was meant is not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from clove import CloveClient
from clove.client.call import Call
from clove.errors import InvalidRequest, NotFound
from clove.framing import Opcode
from tests.integration.conftest import SLEEP, KernelProcess
from tests.integration.wire_v1 import ask

FIELDS: dict[Opcode, dict[str, Any]] = {
    Opcode.KILL: {},
    Opcode.PAUSE: {},
    Opcode.RESUME: {},
    Opcode.LOGS: {},
    Opcode.WAIT: {"timeout": 0},
    Opcode.OUTPUT: {},
    Opcode.INPUT: {"data": ""},
    Opcode.ATTACH: {},
    Opcode.CLOSE_STREAM: {"stream": "stdin"},
    Opcode.RESIZE: {"rows": 1, "columns": 1},
    Opcode.RUN: {"command": ["true"]},
    Opcode.INSPECT: {},
    Opcode.RESTART: {},
    Opcode.SIGNAL: {"signal": "TERM"},
    Opcode.RENAME: {"new_name": "c"},
    Opcode.PRUNE: {},
    Opcode.UPDATE: {"limits": {"tmp": 8 << 20}},
}


def test_a_name_and_an_id_of_two_agents_are_refused(
    client: CloveClient, kernel: KernelProcess, script: Any
) -> None:
    a, b = (client.spawn(name, script(SLEEP))["id"] for name in "ab")
    twice: list[dict[str, Any]] = [
        {"name": "a", "id": b},
        {"name": "nobody", "id": b},
        {"name": "a", "agent_id": b},
        {"id": a, "agent_id": b},
        {"name": "a", "id": a, "agent_id": b},
    ]
    for opcode, fields in FIELDS.items():
        for named in twice:
            with pytest.raises(InvalidRequest, match="names two agents"):
                client.ask(Call(opcode, {**named, **fields}))
            reply = ask(kernel.socket, opcode, **named, **fields)
            assert (reply["success"], reply["code"]) == (False, "invalid_request")
    states = [(one["name"], one["state"], one["restarts"]) for one in client.list_agents()]
    assert states == [("a", "running", 0), ("b", "running", 0)]


def test_empty_values_name_nothing_and_the_same_agent_may_be_named_twice(
    client: CloveClient, kernel: KernelProcess, script: Any
) -> None:
    for named in (
        lambda a: {"name": "a", "id": 0},
        lambda a: {"name": "a", "id": None, "agent_id": 0},
        lambda a: {"name": "", "id": a},
        lambda a: {"name": None, "id": a, "agent_id": a},
        lambda a: {"name": "a", "id": a},
        lambda a: {"name": "a", "agent_id": a},
    ):
        a = client.spawn("a", script(SLEEP))["id"]
        assert ask(kernel.socket, Opcode.KILL, **named(a))["agent_id"] == a


def test_the_name_is_the_one_that_the_agent_has_now(client: CloveClient, script: Any) -> None:
    a = client.spawn("a", script(SLEEP))["id"]
    client.rename("a", "c")
    with pytest.raises(InvalidRequest, match="is 'c', not 'a'"):
        client.ask(Call(Opcode.KILL, {"name": "a", "id": a}))
    client.kill("c")
    with pytest.raises(InvalidRequest, match="names two agents"):
        client.ask(Call(Opcode.PRUNE, {"name": "a", "id": a}))
    with pytest.raises(InvalidRequest, match="or all that are"):
        client.ask(Call(Opcode.PRUNE, {"name": "c", "older_than": 3600}))
    assert client.inspect(a)["agent"]["state"] == "exited"
    assert client.ask(Call(Opcode.PRUNE, {"name": "c", "older_than": 0}))["agent_ids"] == [a]
    with pytest.raises(NotFound):
        client.inspect(a)


def test_the_audit_log_shows_which_agent_a_request_named(
    client: CloveClient, kernel: KernelProcess, script: Any
) -> None:
    for field in ("id", "agent_id"):
        a = client.spawn("a", script(SLEEP))["id"]
        assert ask(kernel.socket, Opcode.KILL, **{field: a})["killed"]
        [entry] = [
            one
            for one in client.get_audit_log(category="AGENT_LIFECYCLE", limit=5)["entries"]
            if one["event_type"] == "KILL" and one["details"]["id"] == a
        ]
        assert entry["success"]
