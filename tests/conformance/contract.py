"""docs/wire.md's table of syscalls, as data.

Types are written as in `json_types.VALUES`; several are joined by `|`. A field of a
request that is marked `!` must be there.
"""

from __future__ import annotations

from tests.conformance.contract_files import FILES
from tests.conformance.contract_lines import call
from tests.conformance.contract_managing import MANAGING

CODES = {
    "invalid_request",
    "permission_denied",
    "not_found",
    "already_exists",
    "quota_exceeded",
    "limit_exceeded",
    "timeout",
    "cancelled",
    "isolation_unavailable",
    "not_implemented",
    "unavailable",
}
"""Codes that a reply may bear. `internal_error` would be a bug."""


AGENT = "name:string id:integer"
RESIZED = {"name": "on-terminal", "rows": 24, "columns": 80}
SYSCALLS = [
    call(
        0x01,
        "THINK",
        "prompt:string! image:object system_instruction:string thinking_level:string"
        " temperature:number model:string max_tokens:integer stream:boolean messages:array"
        " tools:array async:boolean request_id:string|integer",
        "content:string tokens:integer input_tokens:integer output_tokens:integer model:string"
        " provider:string queued_ms:number error:string",
        {"prompt": "hello"},
    ),
    call(
        0x02,
        "EXEC",
        "command:string|array! cwd:string timeout:number async:boolean request_id:string|integer"
        " stdin:string env:object stream:boolean",
        "stdout:string stderr:string exit_code:integer timed_out:boolean truncated:boolean",
        {"command": "true"},
    ),
    call(
        0x03,
        "READ",
        "path:string! offset:integer limit:integer encoding:string",
        "content:string size:integer",
        {"path": "clove.toml"},
    ),
    call(
        0x04,
        "WRITE",
        "path:string! content:string! mode:string encoding:string",
        "bytes_written:integer",
        {"path": "written.txt", "content": "x"},
    ),
    call(
        0x10,
        "SPAWN",
        "name:string! script:string! python:string args:array env:object sandboxed:boolean"
        " network:boolean limits:object permissions:object|string restart_policy:string"
        " max_restarts:integer restart_window:number llm_budget:integer|object"
        " allow_degraded:boolean",
        "id:integer agent_id:integer name:string pid:integer status:string restart_policy:string"
        " isolation:object",
        {"name": "spawned", "script": "agent.py", "sandboxed": False, "allow_degraded": True},
    ),
    call(
        0x11,
        "KILL",
        "name:string id:integer grace:number",
        "killed:boolean agent_id:integer",
        {"name": "helper"},
    ),
    call(0x12, "LIST", "all:boolean", None),
    call(
        0x14,
        "PAUSE",
        "name:string id:integer",
        "paused:boolean agent_id:integer",
        {"name": "helper"},
    ),
    call(
        0x15,
        "RESUME",
        "name:string id:integer",
        "resumed:boolean agent_id:integer",
        {"name": "helper"},
    ),
    call(
        0x16,
        "LOGS",
        "name:string id:integer since:integer follow:boolean",
        "lines:array",
        {"name": "helper"},
    ),
    call(
        0x17,
        "WAIT",
        "name:string id:integer timeout:number",
        "exit_code:integer|null signal:integer|null reason:string",
        {"name": "ended"},
    ),
    call(
        0x18,
        "OUTPUT",
        f"{AGENT} since:integer max:integer wait:number attached:boolean",
        "agent_id:integer offset:integer data:string pieces:array next:integer lost:integer"
        " ended:boolean",
        {"name": "helper"},
    ),
    call(
        0x19,
        "INPUT",
        f"{AGENT} data:string command:integer",
        "agent_id:integer accepted:integer",
        {"name": "helper"},
    ),
    call(0x1A, "ATTACH", f"{AGENT} descriptors:boolean", "offset:integer", {"name": "ended"}),
    call(
        0x1B,
        "CLOSE_STREAM",
        f"{AGENT} stream:string! command:integer",
        "closed:boolean",
        {"name": "helper", "stream": "stdout"},
    ),
    call(0x1C, "RESIZE", f"{AGENT} rows:integer! columns:integer!", "agent_id:integer", RESIZED),
    call(
        0x1D,
        "RUN",
        f"{AGENT} command:array! cwd:string descriptors:boolean",
        "command:integer",
        {"name": "ended", "command": ["true"]},
    ),
    call(0x1E, "DIAL", f"{AGENT} port:integer!", "command:integer", {"name": "ended", "port": 80}),
    call(
        0x20,
        "SEND",
        "to:integer to_name:string message:any! ttl:number",
        "delivered_to:integer message_id:integer",
        {"to_name": "helper", "message": {"n": 1}},
    ),
    call(0x21, "RECV", "max:integer wait:number ack:string", "count:integer messages:array"),
    call(
        0x22,
        "BROADCAST",
        "message:any! include_self:boolean",
        "delivered_count:integer",
        {"message": 1},
    ),
    call(
        0x23,
        "REGISTER",
        "name:string!",
        "agent_id:integer name:string",
        {"name": "registered"},
    ),
    call(0x24, "ACK", "message_ids:array!", "", {"message_ids": []}),
    call(
        0x30,
        "STORE",
        "key:string! value:any! scope:string ttl:number if_version:integer",
        "key:string version:integer",
        {"key": "k", "value": None},
    ),
    call(
        0x31,
        "FETCH",
        "key:string!",
        "exists:boolean value:any scope:string|null version:integer",
        {"key": "k"},
    ),
    call(0x32, "DELETE", "key:string!", "deleted:boolean", {"key": "k"}),
    call(0x33, "KEYS", "prefix:string", "keys:array count:integer"),
    call(0x40, "GET_PERMS", "agent_id:integer", "permissions:object"),
    call(
        0x41,
        "SET_PERMS",
        "agent_id:integer level:string permissions:object",
        "agent_id:integer",
        {"level": "unrestricted"},
    ),
    call(
        0x42,
        "WHY",
        "syscall:string|integer! arguments:object",
        "allowed:boolean rule:string",
        {"syscall": "EXEC", "arguments": {"command": "true"}},
    ),
    call(
        0x50,
        "HTTP",
        "url:string! method:string headers:object body:string timeout:number async:boolean"
        " request_id:string|integer",
        "status_code:integer headers:object body:string encoding:string truncated:boolean",
        {"url": "http://127.0.0.1:1/", "timeout": 5},
    ),
    call(
        0x60,
        "SUBSCRIBE",
        "event_types:array|string events:array|string event:array|string all:boolean",
        "subscribed:any",
        {"event_types": ["CUSTOM"]},
    ),
    call(
        0x61,
        "UNSUBSCRIBE",
        "event_types:array|string events:array|string event:array|string all:boolean",
        "unsubscribed:any",
        {"event_types": ["CUSTOM"]},
    ),
    call(0x62, "POLL_EVENTS", "max:integer", "count:integer events:array"),
    call(
        0x63,
        "EMIT",
        "event_type:string event:string data:any",
        "delivered_to:integer",
        {"event_type": "own", "data": {"n": 1}},
    ),
    call(
        0x76,
        "GET_AUDIT_LOG",
        "category:string agent_id:integer since_id:integer limit:integer",
        "count:integer entries:array",
    ),
    call(
        0x77,
        "SET_AUDIT_CONFIG",
        "max_entries:integer log_syscalls:boolean log_security:boolean log_lifecycle:boolean"
        " log_ipc:boolean log_state:boolean log_resource:boolean log_network:boolean"
        " log_world:boolean",
        "config:object",
    ),
    call(0x80, "ASYNC_POLL", "max:integer", "count:integer results:array"),
    *FILES,
    *MANAGING,
    call(
        0xB0,
        "TUNNEL_CONNECT",
        "relay_url:string machine_id:string token:string",
        "connected:boolean relay_url:string machine_id:string",
        {"relay_url": "ws://127.0.0.1:1"},
    ),
    call(0xB1, "TUNNEL_DISCONNECT", "", "disconnected:boolean"),
    call(
        0xB2,
        "TUNNEL_STATUS",
        "",
        "connected:boolean relay_url:string machine_id:string remote_agent_count:integer"
        " since:number problem:string",
    ),
    call(0xB3, "TUNNEL_LIST_REMOTES", "", "agents:array count:integer"),
    call(0xB4, "TUNNEL_CONFIG", "", "config:object"),
    call(0xC0, "METRICS_SYSTEM", "", "metrics:object"),
    call(0xC1, "METRICS_AGENT", "agent_id:integer", "metrics:object"),
    call(0xC2, "METRICS_ALL_AGENTS", "", "agents:array count:integer"),
    call(0xC3, "METRICS_CGROUP", "cgroup_path:string", "metrics:object"),
    call(
        0xF0,
        "LLM_REPORT",
        "tokens:integer! success:boolean",
        "tokens:integer quota_exceeded:boolean",
        {"tokens": 1},
    ),
    call(
        0xFE,
        "HELLO",
        "protocol_version:integer resume:string",
        "protocol_version:integer kernel_version:string features:array agent_id:integer"
        " resume:string",
    ),
]
"""What is built. NOOP, CANCEL and EXIT are not JSON, WATCH does not end: they have tests of their own."""

LATER = {
    0x70: "RECORD_START",
    0x71: "RECORD_STOP",
    0x72: "RECORD_STATUS",
    0x73: "REPLAY_START",
    0x74: "REPLAY_STATUS",
    **{0xA0 + number: f"WORLD_{number}" for number in range(9)},
}
"""Part of the contract, not built yet: `not_implemented`."""

KNOWN = {syscall.opcode for syscall in SYSCALLS} | set(LATER) | {0x00, 0x0A, 0xFD, 0xFF}
UNKNOWN = sorted(set(range(256)) - KNOWN)
