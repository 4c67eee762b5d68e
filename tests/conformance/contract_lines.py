"""What a line of the contract is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Syscall:
    """One line of the table.

    @ivar minimal: a request with what must be there alone.
    @ivar fields: each field of the request with its types.
    @ivar reply: each field of the reply with its types; None: an array.
    """

    opcode: int
    name: str
    minimal: dict[str, Any]
    fields: dict[str, str]
    reply: dict[str, str] | None
    required: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name


def _fields(text: str) -> dict[str, str]:
    """`"path:string! limit:integer"` as a mapping, the marks kept."""
    return dict(item.rsplit(":", 1) for item in text.split())


def call(
    opcode: int, name: str, fields: str, reply: str | None, minimal: dict[str, Any] | None = None
) -> Syscall:
    """A line, with the fields as text.

    @param reply: None: an array.
    """
    given = _fields(fields)
    return Syscall(
        opcode,
        name,
        minimal or {},
        {field: kinds.rstrip("!") for field, kinds in given.items()},
        None if reply is None else {"success": "boolean", **_fields(reply)},
        frozenset(field for field, kinds in given.items() if kinds.endswith("!")),
    )
