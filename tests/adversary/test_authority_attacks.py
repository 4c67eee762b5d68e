"""Identity on the main socket, and what a family gets by spawning: quotas and limits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.adversary.arena import Arena

SOURCE = (Path(__file__).parent / "main_socket_attempts.py").read_text()
REFUSED = {"permission_denied", "unavailable"}
OUT_OF_REACH = {"ConnectionRefusedError", "FileNotFoundError", "PermissionError", "OSError"}


def test_no_process_of_an_unsandboxed_agent_is_the_operator(arena: Arena) -> None:
    if arena.start == "warm":
        pytest.skip("without a sandbox every agent starts cold")
    late = Path(arena.directory("survivor"), "late")
    reply = arena.begin(SOURCE, arena.kernel.socket, str(late), sandboxed=False, name="local")
    arena.client.wait(reply["id"], timeout=50)
    lines = arena.client.logs(reply["id"])["lines"]
    found = json.loads(next(line["text"] for line in lines if line["text"].startswith("{")))
    itself = f"{reply['id']} standard"
    assert found["plain"] == found["chain of 30"] == found["orphan 30 deep"] == itself
    assert found["chain of 140"] == found["orphan 140 deep"] == "permission_denied"
    assert set(found.values()) <= {itself, "refused", *REFUSED}, found
    survivor = Path(f"/proc/{late.with_name('late.pid').read_text()}")
    deadline = time.monotonic() + 30
    while survivor.exists() and not late.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if late.exists():  # else its cgroup has ended it with the agent
        seen = set(json.loads(late.read_text()))
        # A connection that it made while the agent was there is closed with the agent's others.
        assert seen <= {itself, "closed", *REFUSED}, seen
        assert "permission_denied" in seen


def test_no_process_in_a_sandbox_is_the_operator(arena: Arena) -> None:
    seen = [arena.kernel.directory]
    reply = arena.begin(
        SOURCE, arena.kernel.socket, "-", permissions={"allowed_read_paths": seen}, name="boxed"
    )
    found = arena.printed(reply["id"])
    allowed = {f"{reply['id']} standard", "refused", "nothing", "BlockingIOError"}
    assert set(found.values()) <= allowed | REFUSED | OUT_OF_REACH, found


PARENT = """
import json
from clove import CloveClient
from clove.errors import CloveError
CHILD = '''
from clove import CloveClient
from clove.errors import CloveError
with CloveClient() as client:
    print(*[client.llm_report(5)["quota_exceeded"] for _ in range(2)])
'''
open("/workspace/child.py", "w").write(CHILD)
found = {}
with CloveClient() as client:
    said = []
    for number in range(3):
        budget = {"max_calls": 100} if number == 2 else None
        child = client.spawn(f"child-{number}", "/workspace/child.py", llm_budget=budget)
        client.wait(child["id"], timeout=30)
        said.append("".join(line["text"] for line in client.logs(child["id"])["lines"]).split())
    found["children"] = said
    try:
        client.think("hello")
        found["parent"] = "answered"
    except CloveError as error:
        found["parent"] = error.code
    found["limits"] = {}
    for field, value in {
        "memory": 1 << 40, "max_pids": 65, "cpu_quota": 200000, "cpu_shares": 2048
    }.items():
        try:
            client.spawn("large", "/workspace/child.py", limits={field: value})
            found["limits"][field] = "given"
        except CloveError as error:
            found["limits"][field] = error.rule
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def family(arena: Arena) -> dict[str, Any]:
    found: dict[str, Any] = arena.run(
        PARENT, permissions={"can_spawn": True}, llm_budget={"max_calls": 2}
    )
    return found


def test_a_quota_does_not_grow_with_the_number_of_children(family: dict[str, Any]) -> None:
    assert family["children"] == [["False", "True"], ["True", "True"], ["True", "True"]]
    assert family["parent"] in ("quota_exceeded", "unavailable")  # without a model to ask


def test_children_get_no_larger_limits(family: dict[str, Any]) -> None:
    fields = ("memory", "max_pids", "cpu_quota", "cpu_shares")
    assert family["limits"] == {field: f"limits.{field}" for field in fields}
