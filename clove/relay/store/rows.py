"""Records as rows of SQLite and back. Pure."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from clove.relay.records import Flag, MachineRecord, Targets, TokenKind, TokenRecord

__all__ = [
    "MACHINE_COLUMNS",
    "SCHEMA",
    "TOKEN_COLUMNS",
    "machine_of",
    "machine_row",
    "placeholders",
    "token_of",
    "token_row",
]

SCHEMA: Final = (
    """
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
        machine_id TEXT NOT NULL, targets TEXT NOT NULL, permissions TEXT NOT NULL,
        created REAL NOT NULL, expires REAL, last_used REAL, used REAL, revoked REAL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX tokens_of_machine ON tokens (machine_id)",
    """
    CREATE TABLE machines (
        machine_id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT NOT NULL,
        labels TEXT NOT NULL, metadata TEXT NOT NULL, address TEXT NOT NULL,
        versions TEXT NOT NULL, isolation TEXT NOT NULL, public_key BLOB, created REAL NOT NULL,
        last_seen REAL, draining INTEGER NOT NULL, flags TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
"""Statements that make the tables; what C{user_version} counts."""

TOKEN_COLUMNS: Final = TokenRecord.__struct_fields__
MACHINE_COLUMNS: Final = MachineRecord.__struct_fields__

_TARGETS: Final = msgspec.json.Decoder(Targets)
_FLAGS: Final = msgspec.json.Decoder(tuple[Flag, ...])
_JSON: Final = frozenset(
    {"targets", "permissions", "labels", "metadata", "versions", "isolation", "flags"}
)


def placeholders(columns: tuple[str, ...]) -> str:
    """`:one, :two`, for an INSERT."""
    return ", ".join(f":{column}" for column in columns)


def token_row(record: TokenRecord) -> dict[str, Any]:
    """A token as parameters of a statement."""
    return _row(record) | {"kind": record.kind.value}


def machine_row(record: MachineRecord) -> dict[str, Any]:
    """A machine as parameters of a statement."""
    return _row(record)


def token_of(row: sqlite3.Row) -> TokenRecord:
    """The token in a row."""
    values = dict(row)
    values["kind"] = TokenKind(values["kind"])
    values["targets"] = _TARGETS.decode(values["targets"])
    values["permissions"] = msgspec.json.decode(values["permissions"])
    return TokenRecord(**values)


def machine_of(row: sqlite3.Row) -> MachineRecord:
    """The machine in a row."""
    values = dict(row)
    for name in ("labels", "metadata", "versions", "isolation"):
        values[name] = msgspec.json.decode(values[name])
    values["flags"] = _FLAGS.decode(values["flags"])
    values["draining"] = bool(values["draining"])
    return MachineRecord(**values)


def _row(record: msgspec.Struct) -> dict[str, Any]:
    return {
        name: msgspec.json.encode(value).decode() if name in _JSON else value
        for name, value in msgspec.structs.asdict(record).items()
    }
