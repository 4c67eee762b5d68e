"""The lines about directories and names of files."""

from __future__ import annotations

from tests.conformance.contract_lines import call

FILES = [
    call(
        0x05,
        "LISTDIR",
        "path:string! agent:string|integer after:string limit:integer",
        "path:string entries:array count:integer more:boolean next:string truncated:boolean hidden:integer",
        {"path": "."},
    ),
    call(
        0x06,
        "STAT",
        "path:string! agent:string|integer follow:boolean",
        "path:string exists:boolean kind:string size:integer mode:integer modified:number"
        " links:integer target:string",
        {"path": "clove.toml"},
    ),
    call(
        0x07,
        "MKDIR",
        "path:string! agent:string|integer parents:boolean mode:integer",
        "created:integer",
        {"path": "made/inside", "parents": True},
    ),
    call(
        0x08,
        "MOVE",
        "path:string! to:string! agent:string|integer overwrite:boolean",
        "moved:boolean",
        {"path": "made", "to": "made", "overwrite": True},
    ),
    call(
        0x09,
        "REMOVE",
        "path:string! agent:string|integer recursive:boolean missing_ok:boolean",
        "removed:integer",
        {"path": "not-there", "missing_ok": True},
    ),
]
