"""Rules made to be slow to judge, and noise to wash a refusal out of the record."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any

from clove import CloveClient
from tests.adversary.arena import Arena

SLOW = r"""
import json, os, socket, struct
from clove import CloveClient
from clove.framing import Opcode, encode

client = CloveClient()
found = {}
try:
    rules = [f"/workspace/{'*a' * 20}{number}/*" for number in range(128)]
    client.set_permissions(permissions={"allowed_paths": rules})
except Exception as error:
    found["growing"] = getattr(error, "code", repr(error))
rules = [f"/w/**/[a-z]?*{number}/**/x*?*?*?*y/**/z" for number in range(128)]
client.set_permissions(permissions={"allowed_read_paths": rules})
read = encode(0, Opcode.READ, json.dumps({"path": "/w/" + "a/x1111y/" * 400 + "z"}).encode())
connections = []
for _ in range(20):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["CLOVE_SOCKET"])
    connection.sendall(read * 20)
    connections.append(connection)
print("begun", flush=True)
answers = []
for connection in connections:
    for _ in range(20):
        head = connection.recv(17, socket.MSG_WAITALL)
        size = struct.unpack("<Q", head[9:])[0]
        answers.append(json.loads(connection.recv(size, socket.MSG_WAITALL))["code"])
found["read"] = sorted(set(answers))
print(json.dumps(found))
"""

NOISE = r"""
import json
from clove import CloveClient

client = CloveClient()
try:
    client.read_file("/root/.ssh/id_rsa")
except Exception as error:
    found = error.code
for _ in range(11):
    for _ in range(1000):
        client.store("noise", 1)
    try:
        client.read_file("/root/.ssh/id_rsa")
    except Exception:
        pass
print(json.dumps(found))
"""


def test_others_are_served_while_slow_rules_are_judged(arena: Arena) -> None:
    reply = arena.begin(SLOW)
    with CloveClient(arena.kernel.socket, timeout=10) as other:
        while "begun" not in str(other.logs(reply["id"])["lines"]):
            assert other.noop(b"still there?") == b"still there?"
        for _ in range(20):
            other.list_agents()  # answered within its ten seconds, though the agent may have ended
    ended = arena.client.wait(reply["id"], timeout=50)
    lines = [line["text"] for line in arena.client.logs(reply["id"])["lines"]]
    assert ended["exit_code"] == 0, lines
    found = json.loads(lines[-1])
    assert found == {"growing": "limit_exceeded", "read": ["permission_denied"]}


def test_no_noise_washes_a_refusal_out(arena: Arena) -> None:
    reply = arena.begin(NOISE)
    assert arena.printed(reply["id"]) == "permission_denied"
    entries = arena.client.get_audit_log(
        category="SECURITY", agent_id=reply["id"], since_id=0, limit=100
    )["entries"]
    assert [entry["event_type"] for entry in entries] == ["PERMISSION_DENIED"] * 12
    file = Path(arena.kernel.state_dir, "audit", "security.log")
    deadline = time.monotonic() + 20
    mine: list[dict[str, Any]] = []
    while "AGENT_EXITED" not in {line["event_type"] for line in mine}:
        assert time.monotonic() < deadline, mine
        time.sleep(0.05)  # a thread writes it
        text = file.read_text()
        whole = text[: text.rfind("\n") + 1].splitlines()
        mine = [
            one for one in map(json.loads, filter(None, whole)) if one["agent_id"] == reply["id"]
        ]
    refused = [line for line in mine if line["category"] == "SECURITY"]
    assert [line["id"] for line in refused] == [entries[0]["id"]]  # the others repeat it
    assert "AGENT_SPAWNED" in {line["event_type"] for line in mine}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
