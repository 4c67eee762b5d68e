"""The table of tokens in SQLite. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from clove.errors import LimitExceeded, NotFound
from clove.relay.records import TokenKind, TokenRecord
from clove.relay.store.connection import transaction
from clove.relay.store.interface import StoreLimits
from clove.relay.store.rows import TOKEN_COLUMNS, placeholders, token_of, token_row

__all__ = ["TokenTable"]

_INSERT: Final = (
    f"INSERT INTO tokens ({', '.join(TOKEN_COLUMNS)}) VALUES ({placeholders(TOKEN_COLUMNS)})"  # noqa: S608 names of our columns
)
_OVER: Final = "min(ifnull(expires, 1e18), ifnull(used, 1e18), ifnull(revoked, 1e18))"
"""When a token was over."""


class TokenTable:
    """What L{IStore<clove.relay.store.interface.IStore>} says of tokens."""

    def __init__(self, connection: sqlite3.Connection, limits: StoreLimits) -> None:
        self._connection = connection
        self._limits = limits

    def add(self, record: TokenRecord) -> None:
        """In a transaction of its own."""
        with transaction(self._connection):
            self.insert(record)

    def insert(self, record: TokenRecord) -> None:
        """In the transaction that there is."""
        execute = self._connection.execute
        [count] = execute("SELECT count(*) FROM tokens").fetchone()
        if count >= self._limits.tokens:
            forgotten = record.created - self._limits.kept_tokens
            execute(f"DELETE FROM tokens WHERE {_OVER} < ?", (forgotten,))  # noqa: S608 a constant
            [count] = execute("SELECT count(*) FROM tokens").fetchone()
        if count >= self._limits.tokens:
            raise LimitExceeded(
                f"there are {count} tokens already",
                hint="revoke those that are not needed, or raise limits.store.tokens",
            )
        execute(_INSERT, token_row(record))

    def get(self, token_id: str) -> TokenRecord:
        """One token, valid or not."""
        found = self._connection.execute("SELECT * FROM tokens WHERE id = ?", (token_id,))
        row = found.fetchone()
        if row is None:
            raise NotFound("there is no such token", hint="list them with GET /api/v1/tokens")
        return token_of(row)

    def by_digest(self, digest: bytes) -> TokenRecord | None:
        """The token with this digest."""
        found = self._connection.execute("SELECT * FROM tokens WHERE digest = ?", (digest,))
        row = found.fetchone()
        return None if row is None else token_of(row)

    def after(self, token_id: str, most: int) -> list[TokenRecord]:
        """The next ones by id."""
        rows = self._connection.execute(
            "SELECT * FROM tokens WHERE id > ? ORDER BY id LIMIT ?", (token_id, most)
        )
        return [token_of(row) for row in rows]

    def revoke(self, token_id: str, now: float) -> TokenRecord:
        """In a transaction of its own."""
        with transaction(self._connection) as connection:
            connection.execute(
                "UPDATE tokens SET revoked = ifnull(revoked, ?) WHERE id = ?", (now, token_id)
            )
            return self.get(token_id)

    def revoke_of_machine(self, machine_id: str, now: float) -> list[str]:
        """Those for a machine; in the transaction that there is."""
        rows = self._connection.execute(
            "UPDATE tokens SET revoked = ? WHERE machine_id = ? AND revoked IS NULL RETURNING id",
            (now, machine_id),
        )
        return [row["id"] for row in rows.fetchall()]

    def note_used(self, times: Mapping[str, float]) -> None:
        """When tokens were used last."""
        with transaction(self._connection) as connection:
            connection.executemany(
                "UPDATE tokens SET last_used = max(ifnull(last_used, 0), ?) WHERE id = ?",
                [(at, token_id) for token_id, at in times.items()],
            )

    def use_up(self, token_id: str, now: float) -> None:
        """A join token was used; in the transaction that there is."""
        self._connection.execute(
            "UPDATE tokens SET used = ?, last_used = ? WHERE id = ?", (now, now, token_id)
        )

    def count(self, kind: TokenKind, now: float) -> int:
        """Valid ones."""
        found = self._connection.execute(
            "SELECT count(*) FROM tokens WHERE kind = ? AND revoked IS NULL AND used IS NULL"
            " AND ifnull(expires, 1e18) > ?",
            (kind.value, now),
        )
        [count] = found.fetchone()
        return int(count)
