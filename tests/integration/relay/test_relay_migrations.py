"""Tables of an earlier release become today's, with what is in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from clove.relay.records import RepeatKey
from clove.relay.store import connection, postgresql_schema
from clove.relay.store.interface import StoreLimits
from clove.relay.store.postgresql_connection import PostgreSQLDatabase
from clove.relay.store.repeat_table import RepeatTable
from tests.postgresql import PostgreSQL

BODY = bytes(32)
EARLIER = (
    "INSERT INTO repeats (token_id, key, body, claimant, answer, doubtful, at) "
    "VALUES ('token', 'key', :body, 'a', :answer, FALSE, 1.0)"
)
ROW = {"body": BODY, "answer": b"{}"}


def check(table: RepeatTable) -> None:
    """What was answered before is answered so, and keys are for machines as well."""
    assert table.claim(RepeatKey("token", "key"), BODY, "b", 2.0).answer == b"{}"
    assert table.claim(RepeatKey("token", "key", "m1"), BODY, "b", 2.0).ours


def test_sqlites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "relay.sqlite")
    with monkeypatch.context() as earlier:
        earlier.setattr(connection, "_MIGRATIONS", connection._MIGRATIONS[:2])
        database: sqlite3.Connection = connection.connect(path)
        database.execute(EARLIER, ROW)
        database.close()
    today = connection.SQLiteDatabase(path)
    check(RepeatTable(today, StoreLimits()))
    today.close()


def test_postgresqls(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    address = postgresql.new_database()
    with psycopg.connect(address, autocommit=True, row_factory=dict_row) as database:
        whole: Any = postgresql_schema._MIGRATIONS
        with monkeypatch.context() as earlier:
            earlier.setattr(postgresql_schema, "_MIGRATIONS", whole[:3])
            postgresql_schema.migrate(database, "f" * 32)
        PostgreSQLDatabase(database, "a").rows(EARLIER, ROW)
        postgresql_schema.migrate(database, "f" * 32)
        check(RepeatTable(PostgreSQLDatabase(database, "a"), StoreLimits()))
