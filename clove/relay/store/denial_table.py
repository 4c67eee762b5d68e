"""The table of what was refused. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from clove.relay.denial_record import SHARE, STRANGERS, Denial, Refusal
from clove.relay.store.database import Database, Row
from clove.relay.store.interface import StoreLimits
from clove.relay.store.rows import placeholders

__all__ = ["DenialTable"]

_FACTS: Final = Refusal.__struct_fields__
_COLUMNS: Final = ("relay", "number", "at", "last", "count", "caller", *_FACTS)
_WRITE: Final = (
    f"INSERT INTO denials ({', '.join(_COLUMNS)}) VALUES ({placeholders(_COLUMNS)})"  # noqa: S608 names of our columns
    " ON CONFLICT (relay, number) DO UPDATE SET count = excluded.count, last = excluded.last"
    " WHERE excluded.count > denials.count"  # an earlier write may come later
)


class DenialTable:
    """What L{IStore<clove.relay.store.interface.IStore>} says of refusals."""

    def __init__(self, database: Database, limits: StoreLimits) -> None:
        self._database = database
        self._most = limits.denials

    def keep(self, relay: str, denials: Sequence[Denial]) -> None:
        """Those of one relay, in a transaction of its own; then what is beyond a share is forgotten."""
        callers = sorted({each.caller for each in denials})
        with self._database.transaction():
            self._database.each(_WRITE, [_row(relay, each) for each in denials])
            self._forget("caller = :caller", self._most // SHARE, callers)
            self._forget("token_id = ''", self._most // STRANGERS)
            self._forget("TRUE", self._most)

    def _forget(self, which: str, most: int, callers: Sequence[str] = ("",)) -> None:
        """Of these all but the newest."""
        self._database.each(
            f"DELETE FROM denials WHERE {which} AND id <= ("  # noqa: S608 constants
            f" SELECT id FROM denials WHERE {which} ORDER BY id DESC LIMIT 1 OFFSET :most)",
            [{"most": max(1, most), "caller": caller} for caller in callers],
        )

    def before(self, number: int, most: int, kind: str, machine_id: str) -> list[Denial]:
        """A page."""
        rows = self._database.rows(
            "SELECT * FROM denials WHERE (:number = 0 OR id < :number)"
            " AND (:kind = '' OR kind = :kind) AND (:machine_id = '' OR machine_id = :machine_id)"
            " ORDER BY id DESC LIMIT :most",
            {"number": number, "kind": kind, "machine_id": machine_id, "most": most},
        )
        return [_denial_of(row) for row in rows]


def _row(relay: str, denial: Denial) -> Row:
    facts = msgspec.structs.asdict(denial.refusal)
    when = {"at": denial.at, "last": denial.last, "count": denial.count}
    return {"relay": relay, "number": denial.id, "caller": denial.caller, **when, **facts}


def _denial_of(row: Row) -> Denial:
    refusal = Refusal(**{name: row[name] for name in _FACTS})
    facts = {name: row[name] for name in ("id", "at", "last", "count", "caller")}
    return Denial(refusal=refusal, **facts)
