"""The lines about managing agents."""

from __future__ import annotations

from tests.conformance.contract_lines import call

MANAGING = [
    call(
        0x90,
        "INSPECT",
        "name:string id:integer",
        "agent:object args:array env:array limits:object permissions:object isolation:object",
        {"name": "helper"},
    ),
    call(
        0x91,
        "RESTART",
        "name:string id:integer grace:number",
        "restarted:boolean agent_id:integer pid:integer restarts:integer",
        {"name": "helper"},
    ),
    call(
        0x92,
        "SIGNAL",
        "name:string id:integer signal:string|integer!",
        "signalled:boolean agent_id:integer signal:string",
        {"name": "helper", "signal": "SIGCONT"},
    ),
    call(
        0x93,
        "RENAME",
        "name:string id:integer new_name:string!",
        "agent_id:integer name:string old_name:string",
        {"name": "helper", "new_name": "helper"},
    ),
    call(
        0x94,
        "PRUNE",
        "name:string id:integer older_than:number",
        "count:integer agent_ids:array",
        {"older_than": 86400},
    ),
    call(
        0x95,
        "UPDATE",
        "name:string id:integer limits:object publish:array unpublish:array",
        "agent_id:integer limits:object applied:array at_restart:array published:array",
        {"name": "helper", "limits": {"tmp": 1 << 20}},
    ),
]
