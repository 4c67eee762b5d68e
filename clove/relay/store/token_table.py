"""The table of tokens. Blocking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from clove.errors import LimitExceeded
from clove.relay.absent import no_token
from clove.relay.records import TokenKind, TokenRecord
from clove.relay.store.database import Database
from clove.relay.store.interface import StoreLimits
from clove.relay.store.rows import TOKEN_COLUMNS, placeholders, token_of, token_row

__all__ = ["TokenTable"]

_INSERT: Final = (
    f"INSERT INTO tokens ({', '.join(TOKEN_COLUMNS)}) VALUES ({placeholders(TOKEN_COLUMNS)})"  # noqa: S608 names of our columns
)


class TokenTable:
    """What L{IStore<clove.relay.store.interface.IStore>} says of tokens."""

    def __init__(self, database: Database, limits: StoreLimits) -> None:
        self._database = database
        self._limits = limits

    def add(self, record: TokenRecord) -> None:
        """In a transaction of its own."""
        with self._database.transaction():
            self.insert(record)

    def insert(self, record: TokenRecord) -> None:
        """In the transaction that there is."""
        count = self._count_all()
        if count >= self._limits.tokens:
            self._database.rows(
                "DELETE FROM tokens WHERE expires < :at OR used < :at OR revoked < :at",
                {"at": record.created - self._limits.kept_tokens},
            )
            count = self._count_all()
        if count >= self._limits.tokens:
            raise LimitExceeded(
                f"there are {count} tokens already",
                hint="revoke those that are not needed, or raise limits.store.tokens",
            )
        self._database.rows(_INSERT, token_row(record))

    def _count_all(self) -> int:
        [row] = self._database.rows("SELECT count(*) AS found FROM tokens", {})
        return int(row["found"])

    def get(self, token_id: str) -> TokenRecord:
        """One token, valid or not."""
        rows = self._database.rows("SELECT * FROM tokens WHERE id = :id", {"id": token_id})
        if not rows:
            raise no_token()
        return token_of(rows[0])

    def by_digest(self, digest: bytes) -> TokenRecord | None:
        """The token with this digest."""
        rows = self._database.rows(
            "SELECT * FROM tokens WHERE digest = :digest", {"digest": digest}
        )
        return token_of(rows[0]) if rows else None

    def after(self, token_id: str, most: int) -> list[TokenRecord]:
        """The next ones by id."""
        rows = self._database.rows(
            "SELECT * FROM tokens WHERE id > :after ORDER BY id LIMIT :most",
            {"after": token_id, "most": most},
        )
        return [token_of(row) for row in rows]

    def revoke(self, token_id: str, now: float) -> TokenRecord:
        """In a transaction of its own."""
        with self._database.updates():
            rows = self._database.rows(
                "UPDATE tokens SET revoked = coalesce(revoked, :now) WHERE id = :id RETURNING *",
                {"now": now, "id": token_id},
            )
            if rows:
                self._database.changed("token", token_id)
                return token_of(rows[0])
        return self.get(token_id)

    def expire(self, token_id: str, at: float) -> TokenRecord:
        """In a transaction of its own. What it has opened elsewhere is compared with the clock there, later."""
        with self._database.updates():
            rows = self._database.rows(
                "UPDATE tokens SET expires = :at"
                " WHERE id = :id AND (expires IS NULL OR expires > :at) RETURNING *",
                {"at": at, "id": token_id},
            )
            if rows:
                return token_of(rows[0])
        return self.get(token_id)

    def change(self, token_id: str, change: Callable[[TokenRecord], TokenRecord]) -> TokenRecord:
        """In a transaction of its own; nothing else changes the token meanwhile."""
        with self._database.transaction():
            rows = self._database.rows(
                f"SELECT * FROM tokens WHERE id = :id{self._database.dialect.locking}",  # noqa: S608 a constant
                {"id": token_id},
            )
            if not rows:
                raise no_token()
            changed = change(token_of(rows[0]))
            self._database.rows(
                "UPDATE tokens SET name = :name, expires = :expires, targets = :targets,"
                " permissions = :permissions WHERE id = :id",
                token_row(changed),
            )
            self._database.changed("scope", token_id)
            return changed

    def of_ids(self, token_ids: tuple[str, ...]) -> list[TokenRecord]:
        """Those of these that there are."""
        wanted = self._database.dialect.listed("id", "ids")
        rows = self._database.rows(
            f"SELECT * FROM tokens WHERE {wanted}",  # noqa: S608 a constant
            {"ids": msgspec.json.encode(token_ids).decode()},
        )
        return [token_of(row) for row in rows]

    def revoke_of_machine(self, machine_id: str, now: float) -> list[str]:
        """Those for a machine; in the transaction that there is."""
        rows = self._database.rows(
            "UPDATE tokens SET revoked = :now WHERE machine_id = :machine AND revoked IS NULL"
            " RETURNING id",
            {"now": now, "machine": machine_id},
        )
        for row in rows:
            self._database.changed("token", row["id"])
        return [row["id"] for row in rows]

    def note_used(self, times: Mapping[str, float]) -> None:
        """When tokens were used last."""
        with self._database.updates():
            self._database.each(
                "UPDATE tokens SET last_used = :at"
                " WHERE id = :id AND (last_used IS NULL OR last_used < :at)",
                [{"id": token_id, "at": at} for token_id, at in sorted(times.items())],
            )

    def invalid(self, token_ids: tuple[str, ...], now: float) -> list[str]:
        """Those of these that were revoked, or forgotten after that, or have expired."""
        wanted = self._database.dialect.listed("id", "ids")
        rows = self._database.rows(
            "SELECT id FROM tokens WHERE revoked IS NULL"  # noqa: S608 constants
            f" AND (expires IS NULL OR expires > :now) AND {wanted}",
            {"ids": msgspec.json.encode(token_ids).decode(), "now": now},
        )
        valid = {row["id"] for row in rows}
        return [each for each in token_ids if each not in valid]

    def use_up(self, token_id: str, now: float) -> None:
        """A join token was used; in the transaction that there is."""
        self._database.rows(
            "UPDATE tokens SET used = :now, last_used = :now WHERE id = :id",
            {"now": now, "id": token_id},
        )

    def count(self, kind: TokenKind, now: float) -> int:
        """Valid ones."""
        [row] = self._database.rows(
            "SELECT count(*) AS found FROM tokens WHERE kind = :kind AND revoked IS NULL"
            " AND used IS NULL AND (expires IS NULL OR expires > :now)",
            {"kind": kind.value, "now": now},
        )
        return int(row["found"])
