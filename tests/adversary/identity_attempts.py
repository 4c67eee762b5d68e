"""Run as an agent: claims to be somebody else, and asks for what is others' (rows 8 and 20)."""

import json
import os
import socket
import struct
from typing import Any

from clove import CloveClient
from clove.errors import CloveError
from tests.adversary.attempting import attempts, facts, report

HEADER = struct.Struct("<IIBQ")
SEND, LIST, HELLO, EXIT = 0x20, 0x12, 0xFE, 0xFF


def framed(agent_id: int, opcode: int, payload: dict[str, Any]) -> tuple[int, Any]:
    """One request that bears an id, by version 1: the reply's id and body."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["CLOVE_SOCKET"])
        body = json.dumps(payload).encode()
        connection.sendall(HEADER.pack(0x41474E54, agent_id, opcode, len(body)) + body)
        with connection.makefile("rb") as stream:
            _, replied, _, size = HEADER.unpack(stream.read(17))
            return replied, json.loads(stream.read(size))


def asked(method: str, *args: Any, **named: Any) -> Any:
    """What the kernel says to a call: its answer, or the error's code."""
    try:
        with CloveClient() as client:
            return getattr(client, method)(*args, **named)
    except CloveError as error:
        return error.code


def each(name: str, method: str, *args: Any, **named: Any) -> None:
    attempts[name] = lambda: asked(method, *args, **named)


own = int(os.environ["CLOVE_AGENT_ID"])
victim, dead = facts["victim"], facts["dead"]
claims = {
    "victim": victim,
    "dead": dead,
    "operator": facts["operator"],
    "none": 0,
    "most": 2**32 - 1,
}
for name, claim in claims.items():
    message = {"to": facts["operator"], "message": {"claimed": name}}
    attempts[f"frame of {name}"] = lambda claim=claim, message=message: (  # type: ignore[misc]
        framed(claim, SEND, message)[0] == own
    )

attempts["own id"] = lambda: framed(0, HELLO, {})[1]["agent_id"] == own
attempts["environment"] = lambda: (
    os.environ.update(CLOVE_AGENT_ID=str(victim)) or framed(victim, HELLO, {})[1]["agent_id"] == own
)
attempts["resume"] = lambda: framed(0, HELLO, {"resume": facts["token"]})[1].get("code")

for name in ("kill", "pause", "resume", "logs", "wait"):
    each(f"{name} victim", name, facts["victim_name"])
    each(f"{name} victim by id", name, victim)
    each(f"{name} dead", name, dead)
for name in facts["names"]:
    each(f"kill {name!r}", "kill", name)
    each(f"send {name!r}", "send_message", "x", to_name=name)
for name in facts["names"]:
    each(f"register {name!r}", "register_name", name)
each("permissions of victim", "get_permissions", victim)
each("permissions of dead", "get_permissions", dead)
each("raise own", "set_permissions", {"level": "unrestricted"})
each("raise own by field", "set_permissions", {"can_spawn": True, "can_http": True})
each("raise victim", "set_permissions", "unrestricted", agent_id=victim)
each("narrow victim", "set_permissions", "minimal", agent_id=victim)
each("raise dead", "set_permissions", "unrestricted", agent_id=dead)
each("spawn", "spawn", "child", "/app/child.py", sandboxed=False)
each("metrics of victim", "get_agent_metrics", victim)
each("private key", "fetch", "mine")
each("audit", "get_audit_log")
each("silence audit", "set_audit_config", log_security=False)


def connected(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
    return "connected"


for name, path in facts["sockets"].items():
    attempts[f"socket {name}"] = lambda path=path: connected(path)  # type: ignore[misc]
report()
