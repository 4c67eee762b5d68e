"""Records as rows and back. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clove.relay.records import Flag, MachineRecord, Targets, TokenKind, TokenRecord
from clove.relay.store.database import Row

__all__ = [
    "MACHINE_COLUMNS",
    "TOKEN_COLUMNS",
    "machine_of",
    "machine_row",
    "placeholders",
    "token_of",
    "token_row",
]

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


def token_of(row: Row) -> TokenRecord:
    """The token in a row."""
    values = dict(row)
    values["kind"] = TokenKind(values["kind"])
    values["targets"] = _TARGETS.decode(values["targets"])
    values["permissions"] = msgspec.json.decode(values["permissions"])
    return TokenRecord(**values)


def machine_of(row: Row) -> MachineRecord:
    """The machine in a row."""
    values = dict(row)
    for name in ("labels", "metadata", "versions"):
        values[name] = msgspec.json.decode(values[name])
    values["isolation"] = msgspec.Raw(values["isolation"])
    values["flags"] = _FLAGS.decode(values["flags"])
    values["draining"] = bool(values["draining"])
    return MachineRecord(**values)


def _row(record: msgspec.Struct) -> dict[str, Any]:
    return {
        name: msgspec.json.encode(value).decode() if name in _JSON else value
        for name, value in msgspec.structs.asdict(record).items()
    }
